"""Measurements for the tests, made up."""

from collections.abc import Iterable

from benchmarks.journal import Measurement
from benchmarks.summary import Summary, summarise


def rounds(system: str, workload: str, figure: str, *values: float) -> list[Measurement]:
    """One figure, a value a round."""
    return [
        Measurement(number, system, workload, {figure: value})
        for number, value in enumerate(values)
    ]


def compared(
    workload: str, figure: str, ours: float, theirs: float, against: str = "peer"
) -> list[Measurement]:
    """One figure of two systems in one round."""
    return [
        *rounds("ours", workload, figure, ours),
        *rounds(against, workload, figure, theirs),
    ]


def summary_of(*parts: Iterable[Measurement]) -> Summary:
    """Summarise all of these."""
    return summarise([each for part in parts for each in part])
