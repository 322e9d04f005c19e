"""Made-up measurements for tests."""

from collections.abc import Iterable

from benchmarks.journal import Measurement
from benchmarks.summary import Summary, summarise


def build_rounds(system: str, workload: str, figure: str, *values: float) -> list[Measurement]:
    """Build measurements of one figure, one value per round."""
    return [
        Measurement(number, system, workload, {figure: value})
        for number, value in enumerate(values)
    ]


def build_comparison(
    workload: str, figure: str, ours: float, theirs: float, against: str = "peer"
) -> list[Measurement]:
    """Build measurements of one figure of two systems in one round."""
    return [
        *build_rounds("ours", workload, figure, ours),
        *build_rounds(against, workload, figure, theirs),
    ]


def summarise_all(*parts: Iterable[Measurement]) -> Summary:
    """Summarise all measurements."""
    return summarise([each for part in parts for each in part])
