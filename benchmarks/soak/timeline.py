"""The timeline of a soak: responses, resources and faults, in a bounded number of windows."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

# A soak of hours has wider windows, not more of them.
MAX_WINDOWS: Final = 120
MIN_WINDOW_S: Final = 5.0
# Latencies to keep for one window and kind; more are counted only.
MAX_LATENCIES: Final = 2000

OK: Final = "ok"
REFUSED: Final = "refused as it should be"
OVERLOADED: Final = "429 or 503 with Retry-After"
ABORTED: Final = "aborted by the client"
OUTAGE: Final = "failed while the server restarted"
# The outcomes of a server that keeps its promises.
GOOD_OUTCOMES: Final = (OK, REFUSED, OVERLOADED, ABORTED, OUTAGE)


@dataclass(slots=True)
class Window:
    """The responses that ended within a stretch of time."""

    start_s: float
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)  # (kind, outcome)
    latencies_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of the server's processes; memory in MiB, of its own process and of all."""

    time_s: float
    memory: float
    memory_of_all: float
    files: int
    threads: int
    processes: int


@dataclass(slots=True)
class Fault:
    """One fault. `recovery_s` is the time from its end to the next good response to its probe."""

    name: str
    start_s: float
    end_s: float = 0.0
    recovery_s: float | None = None


class Timeline:
    """Collects the report's data; times are seconds since the start."""

    def __init__(self, seconds: float) -> None:
        self.window_s = max(MIN_WINDOW_S, seconds / MAX_WINDOWS)
        self.windows: list[Window] = []
        self.resources: list[Resources] = []
        self.faults: list[Fault] = []
        self.failures: Counter[str] = Counter()
        self.restarted_s = 0.0  # when the current server started
        self._started = time.monotonic()
        self._outages = 0

    @property
    def now_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @property
    def is_outage(self) -> bool:
        """Whether the server restarts, so that requests may fail."""
        return self._outages > 0

    def record(self, kind: str, outcome: str, seconds: float) -> None:
        """Add a response; an outcome that is not good is described in itself."""
        window = self._find_window()
        window.outcomes[kind, outcome] += 1
        if outcome == OK and len(window.latencies_s[kind]) < MAX_LATENCIES:
            window.latencies_s[kind].append(seconds)
        if outcome not in GOOD_OUTCOMES:
            self.failures[f"{kind}: {outcome}"] += 1

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Count failures as the restart's for a block."""
        self._outages += 1
        try:
            yield
        finally:
            self._outages -= 1

    def _find_window(self) -> Window:
        start_s = self.now_s // self.window_s * self.window_s
        if not self.windows or self.windows[-1].start_s < start_s:
            self.windows.append(Window(start_s))
        return self.windows[-1]
