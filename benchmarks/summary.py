"""From rounds to figures: medians, their range, and the ratios of ours to the other systems."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from benchmarks.journal import Measurement
from benchmarks.workloads import WORKLOADS

OURS: Final = "ours"
PEER: Final = "peer"
ENGINE: Final = "engine"
START_UP: Final = "W10"  # measured without load, so it is no workload of the load generator
RATE: Final = "requests_per_s"

ORDER: Final = (*(each.name for each in WORKLOADS), START_UP)


class Key(NamedTuple):
    """Which figure: of which system, under which workload."""

    system: str
    workload: str
    figure: str


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the rounds."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours over another system: the ratio of medians, and its range over rounds with both."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """All rounds of a run. A ratio's key names the system that ours is compared with."""

    spreads: Mapping[Key, Spread]
    ratios: Mapping[Key, Ratio]
    rounds: int

    @property
    def workloads(self) -> tuple[str, ...]:
        """Workloads with any figure: those known first, in their order."""
        measured = dict.fromkeys(key.workload for key in self.spreads)
        known = [name for name in ORDER if name in measured]
        return (*known, *(name for name in measured if name not in ORDER))

    def median(self, system: str, workload: str, figure: str) -> float | None:
        """Return the median over rounds, or None where it was not measured."""
        spread = self.spreads.get(Key(system, workload, figure))
        return spread.median if spread else None

    def ratio(self, against: str, workload: str, figure: str) -> Ratio | None:
        """Return ours over the other system, or None where one of them was not measured."""
        return self.ratios.get(Key(against, workload, figure))


Rounds = Mapping[int, float]


def summarise(measurements: Sequence[Measurement]) -> Summary:
    """Reduce all rounds to medians, ranges and ratios. Of a repeated round the last counts."""
    series = _series(measurements)
    return Summary(
        spreads={key: _spread(rounds.values()) for key, rounds in series.items()},
        ratios=_ratios(series),
        rounds=len({each.round for each in measurements}),
    )


def more_is_better(figure: str) -> bool:
    """Tell rates from times and sizes."""
    return figure.endswith("_per_s")


def _series(measurements: Iterable[Measurement]) -> dict[Key, dict[int, float]]:
    series: dict[Key, dict[int, float]] = {}
    for each in measurements:
        for figure, value in each.figures.items():
            key = Key(each.system, each.workload, figure)
            series.setdefault(key, {})[each.round] = value
    return series


def _spread(values: Iterable[float]) -> Spread:
    ordered = sorted(values)
    return Spread(statistics.median(ordered), ordered[0], ordered[-1])


def _ratios(series: Mapping[Key, Rounds]) -> dict[Key, Ratio]:
    ratios: dict[Key, Ratio] = {}
    for key, theirs in series.items():
        ours = series.get(key._replace(system=OURS))
        if key.system != OURS and ours and statistics.median(theirs.values()):
            ratios[key] = _ratio(ours, theirs)
    return ratios


def _ratio(ours: Rounds, theirs: Rounds) -> Ratio:
    value = statistics.median(ours.values()) / statistics.median(theirs.values())
    # Rounds differ by what else the machine did, so each is compared with itself.
    each = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
    return Ratio(value, min(each, default=None), max(each, default=None))
