"""Medians and ranges over the rounds, and ratios of our figures to other systems'."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from benchmarks.journal import Measurement
from benchmarks.suites import TINY, Suite

OURS: Final = "ours"
PEER: Final = "peer"
ENGINE: Final = "engine"
START_UP: Final = "W10"  # measured without the load generator
RATE: Final = "requests_per_s"


class FigureKey(NamedTuple):
    """The key of a figure: system, workload and name."""

    system: str
    workload: str
    figure: str


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range of a figure over the rounds."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours over another system's: the ratio of medians, and its range over the rounds."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """All figures of a run. The key of a ratio names the other system."""

    spreads: Mapping[FigureKey, Spread]
    ratios: Mapping[FigureKey, Ratio]
    rounds: int
    suite: Suite

    @property
    def workloads(self) -> tuple[str, ...]:
        """The measured workloads, the suite's first and in their order."""
        measured = dict.fromkeys(key.workload for key in self.spreads)
        order = (*self.suite.names, START_UP)
        known = [name for name in order if name in measured]
        return (*known, *(name for name in measured if name not in order))

    def median(self, system: str, workload: str, figure: str) -> float | None:
        """Return the median over the rounds, or None if not measured."""
        spread = self.spreads.get(FigureKey(system, workload, figure))
        return spread.median if spread else None

    def ratio(self, against: str, workload: str, figure: str) -> Ratio | None:
        """Return ours over the other system's, or None if one is missing."""
        return self.ratios.get(FigureKey(against, workload, figure))


Rounds = Mapping[int, float]


def summarise(measurements: Sequence[Measurement], suite: Suite = TINY) -> Summary:
    """Summarise all rounds. If a round was repeated, its last results count."""
    series = _group_by_figure(measurements)
    return Summary(
        spreads={key: _compute_spread(rounds.values()) for key, rounds in series.items()},
        ratios=_compute_ratios(series),
        rounds=len({each.round for each in measurements}),
        suite=suite,
    )


def is_higher_better(figure: str) -> bool:
    """Whether the figure is a rate and not a time or size."""
    return figure.endswith("_per_s")


def _group_by_figure(measurements: Iterable[Measurement]) -> dict[FigureKey, dict[int, float]]:
    series: dict[FigureKey, dict[int, float]] = {}
    for each in measurements:
        for figure, value in each.figures.items():
            key = FigureKey(each.system, each.workload, figure)
            series.setdefault(key, {})[each.round] = value
    return series


def _compute_spread(values: Iterable[float]) -> Spread:
    ordered = sorted(values)
    return Spread(statistics.median(ordered), ordered[0], ordered[-1])


def _compute_ratios(series: Mapping[FigureKey, Rounds]) -> dict[FigureKey, Ratio]:
    ratios: dict[FigureKey, Ratio] = {}
    for key, theirs in series.items():
        ours = series.get(key._replace(system=OURS))
        if key.system != OURS and ours and statistics.median(theirs.values()):
            ratios[key] = _compute_ratio(ours, theirs)
    return ratios


def _compute_ratio(ours: Rounds, theirs: Rounds) -> Ratio:
    value = statistics.median(ours.values()) / statistics.median(theirs.values())
    # The load of the machine differs between rounds, so each is compared with itself.
    each = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
    return Ratio(value, min(each, default=None), max(each, default=None))
