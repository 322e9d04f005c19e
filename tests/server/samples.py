"""Reads single values from the metrics."""

from server.telemetry.metrics import Metrics, Stage


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    """Return a sample's value, 0 if it has not been written yet."""
    return metrics.registry.get_sample_value(f"llava:{name}", labels) or 0.0


def stage_count(metrics: Metrics, stage: Stage) -> int:
    """Return the number of timings of a stage."""
    return int(sample(metrics, "stage_seconds_count", stage=stage))
