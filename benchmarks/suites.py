"""Suites: the workloads of a run, those for the engine alone, and their durations."""

from dataclasses import dataclass
from typing import Final

from benchmarks.timing import Timing
from benchmarks.workloads import Load, Workload, build_few_clients_workloads, build_workloads


@dataclass(frozen=True, slots=True)
class Suite:
    """Workloads that a run measures together."""

    name: str
    workloads: tuple[Workload, ...]
    engine_workloads: tuple[str, ...]  # the engine alone runs them, too
    full: Timing
    quick: Timing
    rounds: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the workloads."""
        return tuple(each.name for each in self.workloads)

    @property
    def titles(self) -> dict[str, str]:
        """The titles of the workloads, by name."""
        return {each.name: each.title for each in self.workloads}

    def find(self, name: str) -> Workload:
        """Return the workload of this name. Raises `KeyError`."""
        return {each.name: each for each in self.workloads}[name]


TINY: Final = Suite(
    "tiny",
    build_workloads(Load(clients=16, stream_clients=64, clients_beside=4, max_tokens=32)),
    engine_workloads=("W1", "W2", "W3", "W6"),
    full=Timing(window_s=5.0, warm_up_s=2.0),
    quick=Timing(window_s=2.0, warm_up_s=1.0),
    rounds=3,
)
# Few clients and long windows: on a CPU, a tower of the usual size takes seconds for a view. The
# warm-up may be shorter than a request: answers count only from the window on.
CPU: Final = Suite(
    "cpu",
    build_few_clients_workloads(max_tokens=24),
    engine_workloads=(),
    full=Timing(window_s=40.0, warm_up_s=5.0),
    quick=Timing(window_s=20.0, warm_up_s=2.0),
    rounds=1,
)
GPU_ENGINE_WORKLOADS: Final = ("W1", "W2", "W3", "W4", "W5", "W6")
GPU: Final = Suite(
    "gpu",
    build_workloads(Load(clients=64, stream_clients=256, clients_beside=16, max_tokens=64)),
    engine_workloads=GPU_ENGINE_WORKLOADS,
    full=Timing(window_s=15.0, warm_up_s=5.0),
    quick=Timing(window_s=6.0, warm_up_s=3.0),
    rounds=3,
)
# The GPU's workloads, with so few clients that two cores can serve them a small model.
REHEARSAL: Final = Suite(
    "rehearsal",
    build_workloads(Load(clients=4, stream_clients=8, clients_beside=2, max_tokens=16)),
    engine_workloads=GPU_ENGINE_WORKLOADS,
    full=Timing(window_s=10.0, warm_up_s=2.0),
    quick=Timing(window_s=4.0, warm_up_s=1.0),
    rounds=1,
)
SUITES: Final = {suite.name: suite for suite in (TINY, CPU, GPU, REHEARSAL)}
