"""Performance targets: ratios to vLLM's server and to the engine alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.suites import CPU, GPU, REHEARSAL, TINY, Suite
from benchmarks.summary import ENGINE, PEER, RATE, START_UP, Ratio, Summary, is_higher_better


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on our figure over another system's: a minimum for rates, else a maximum."""

    workload: str
    figure: str
    against: str
    bound: float

    @property
    def is_lower_bound(self) -> bool:
        """Whether the bound is a minimum."""
        return is_higher_better(self.figure)

    def is_reached_by(self, ratio: float) -> bool:
        """Whether a ratio reaches the target."""
        return ratio >= self.bound if self.is_lower_bound else ratio <= self.bound


@dataclass(frozen=True, slots=True)
class Outcome:
    """A target and the measured ratio."""

    target: Target
    ratio: Ratio | None

    @property
    def is_reached(self) -> bool | None:
        """Whether the target is reached; None if the ratio was not measured."""
        return None if self.ratio is None else self.target.is_reached_by(self.ratio.value)


TINY_TARGETS: Final = (
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
# Of a published shape on a CPU.
CPU_TARGETS: Final = (
    Target("S1", "ttft_ms_p50", PEER, 1.0),
    Target("S1", "inter_token_ms_p50", PEER, 1.0),
    Target("S2", "ttft_ms_p50", PEER, 1.0),
    Target("S2", "inter_token_ms_p50", PEER, 1.0),
    Target("S3", "ttft_ms_p50", PEER, 0.7),
    Target("S4", "ttft_ms_p50", PEER, 1.0),
    Target("S5", "images_per_s", PEER, 1.0),
    Target("S5", "inter_token_ms_p99", PEER, 0.5),
)
# Of LLaVA-1.5-7B's shape on a GPU.
GPU_TARGETS: Final = (
    Target("W1", RATE, PEER, 1.0),
    Target("W3", RATE, PEER, 1.2),
    Target("W4", RATE, PEER, 2.0),
    Target("W5", RATE, PEER, 4.0),
    Target("W6", RATE, PEER, 1.5),
    Target("W7", RATE, PEER, 3.0),
    Target("W8 mixed", "images_per_s", PEER, 1.0),
    Target("W8 mixed", "inter_token_ms_p99", PEER, 0.5),
    Target("W9 small", "ttft_ms_p50", PEER, 0.7),
    Target(START_UP, "ready_s", PEER, 1.0),
    Target(START_UP, "rest_mib", PEER, 1.0),
    Target(START_UP, "gpu_rest_mib", PEER, 1.0),
    Target("W1", RATE, ENGINE, 0.95),
)
TARGETS: Final[Mapping[str, tuple[Target, ...]]] = {
    TINY.name: TINY_TARGETS,
    CPU.name: CPU_TARGETS,
    GPU.name: GPU_TARGETS,
    REHEARSAL.name: GPU_TARGETS,  # as a test of the report: a small model on a CPU proves nothing
}


def find_target(suite: Suite, against: str, workload: str, figure: str) -> Target | None:
    """Return the target of a ratio, if any."""
    key = (against, workload, figure)
    return next((t for t in TARGETS[suite.name] if (t.against, t.workload, t.figure) == key), None)


def compare_targets(summary: Summary) -> list[Outcome]:
    """Compare each target of the suite with the measured ratio."""
    return [
        Outcome(t, summary.ratio(t.against, t.workload, t.figure))
        for t in TARGETS[summary.suite.name]
    ]


def compare_ratio(summary: Summary, against: str, workload: str, figure: str) -> Outcome | None:
    """Compare one ratio with its target; None without a target."""
    target = find_target(summary.suite, against, workload, figure)
    return Outcome(target, summary.ratio(against, workload, figure)) if target else None
