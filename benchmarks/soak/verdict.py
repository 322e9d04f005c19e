"""Judges a soak: what failed, what did not recover, what grew."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.soak.timeline import Resources, Timeline

# Growth of the server's own memory from the second fifth of a soak to its last one.
MAX_GROWTH: Final = 1.10
SLACK_MIB: Final = 64.0
# Pools of connections and threads fill as they are used, up to bounds of their own.
MAX_MORE_FILES: Final = 64
MAX_MORE_THREADS: Final = 16
# With fewer samples, growth is unknown, and the soak has failed.
MIN_SAMPLES: Final = 10
# Kinds of failures to list.
MAX_LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class Ending:
    """The server's state at the end: its exit code, and permits that were not returned."""

    exit_code: int
    permits: float


def find_reasons(timeline: Timeline, ending: Ending) -> list[str]:
    """Return the reasons why the soak has failed; empty if it has not."""
    reasons = [f"{count} x {what}" for what, count in timeline.failures.most_common(MAX_LISTED)]
    reasons += [
        f"no recovery from: {fault.name} at {fault.start_s:.0f} s"
        for fault in timeline.faults
        if fault.recovery_s is None
    ]
    reasons += find_growth(
        [each for each in timeline.resources if each.time_s >= timeline.restarted_s]
    )
    if ending.permits:
        reasons.append(f"{ending.permits:g} permits were not given back")
    if ending.exit_code:
        reasons.append(f"exit code {ending.exit_code} after SIGTERM")
    return reasons


def find_growth(samples: Sequence[Resources]) -> list[str]:
    """Return what grew from the second to the last fifth of the samples, or that it is unknown."""
    if len(samples) < MIN_SAMPLES:
        return [f"growth is unknown: {len(samples)} samples since the last start are too few"]
    fifth = len(samples) // 5
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]

    def median(part: Sequence[Resources], read: Callable[[Resources], float]) -> float:
        return statistics.median(map(read, part))

    bounds: list[tuple[str, Callable[[Resources], float], float]] = [
        ("MiB of memory", lambda each: each.memory, _bound_memory(early)),
        ("files", lambda each: each.files, median(early, lambda each: each.files) + MAX_MORE_FILES),
        (
            "threads",
            lambda each: each.threads,
            median(early, lambda each: each.threads) + MAX_MORE_THREADS,
        ),
    ]
    return [
        f"{name}: from {median(early, read):.0f} to {median(late, read):.0f}"
        for name, read, bound in bounds
        if median(late, read) > bound
    ]


def _bound_memory(early: Sequence[Resources]) -> float:
    return statistics.median(each.memory for each in early) * MAX_GROWTH + SLACK_MIB
