"""What the server is held to: its figures over those of vLLM's server and of the engine alone."""

from dataclasses import dataclass
from typing import Final

from benchmarks.summary import ENGINE, PEER, RATE, START_UP, Ratio, Summary, more_is_better


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on ours over another system: a rate's is the least, any other figure's the most."""

    workload: str
    figure: str
    against: str
    bound: float

    @property
    def at_least(self) -> bool:
        """Tell on which side of the bound the ratio must be."""
        return more_is_better(self.figure)

    def holds(self, ratio: float) -> bool:
        """Tell whether a ratio reaches the target."""
        return ratio >= self.bound if self.at_least else ratio <= self.bound


@dataclass(frozen=True, slots=True)
class Outcome:
    """A target and what was measured."""

    target: Target
    ratio: Ratio | None

    @property
    def reached(self) -> bool | None:
        """Tell whether the target is reached; None where the ratio was not measured."""
        return None if self.ratio is None else self.target.holds(self.ratio.value)


TARGETS: Final = (
    Target("W1", RATE, PEER, 1.25),
    Target("W2", RATE, PEER, 1.4),
    Target("W3", RATE, PEER, 1.35),
    Target("W4", RATE, PEER, 1.6),
    Target("W5", RATE, PEER, 4.0),
    Target("W6", RATE, PEER, 5.0),
    Target("W7", RATE, PEER, 4.0),
    Target("W8 mixed", "images_per_s", PEER, 1.0),
    Target("W8 mixed", "ttft_ms_p99", PEER, 0.35),
    Target("W8 mixed", "inter_token_ms_p99", PEER, 0.5),
    Target("W9 text", "ttft_ms_p50", PEER, 1.0),
    Target("W9 small", "ttft_ms_p50", PEER, 0.7),
    Target("W9 photo", "ttft_ms_p50", PEER, 0.3),
    Target(START_UP, "ready_s", PEER, 1.0),
    Target(START_UP, "rest_mib", PEER, 1.0),
    Target(START_UP, "after_mib", PEER, 1.0),
    Target("W1", RATE, ENGINE, 0.92),
    Target("W2", RATE, ENGINE, 0.92),
    Target("W3", RATE, ENGINE, 0.85),
    Target("W6", RATE, ENGINE, 0.85),
)


def target(against: str, workload: str, figure: str) -> Target | None:
    """Return the target for this ratio, if it has one."""
    wanted = (against, workload, figure)
    return next((t for t in TARGETS if (t.against, t.workload, t.figure) == wanted), None)


def outcomes(summary: Summary) -> list[Outcome]:
    """Compare each target with what was measured."""
    return [Outcome(t, summary.ratio(t.against, t.workload, t.figure)) for t in TARGETS]


def outcome(summary: Summary, against: str, workload: str, figure: str) -> Outcome | None:
    """Compare one ratio with its target, if it has one."""
    aim = target(against, workload, figure)
    return Outcome(aim, summary.ratio(against, workload, figure)) if aim else None
