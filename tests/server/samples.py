"""Reads single values from the metrics."""

from server.telemetry.metrics import Metrics
from server.telemetry.stages import Stage


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    """Return the sum of the samples with these labels, 0 if none has been written yet."""
    return sum(
        each.value
        for family in metrics.registry.collect()
        for each in family.samples
        if each.name == f"llava:{name}" and labels.items() <= each.labels.items()
    )


def stage_count(metrics: Metrics, stage: Stage) -> int:
    """Return the number of timings of a stage."""
    return int(sample(metrics, "stage_seconds_count", stage=stage))
