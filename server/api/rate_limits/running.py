"""The running requests of one key, and an estimate of when the next one ends."""

from collections.abc import Callable, Hashable
from typing import Final

# The weight of the newest answer in the expected time of the next.
NEWEST: Final = 0.2


class RunningRequests:
    """Requests by their start, oldest first, and the recent duration of answers."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started: dict[Hashable, float] = {}
        self._usual_s = 0.0

    def __len__(self) -> int:
        """Return their number."""
        return len(self._started)

    def start(self, request: Hashable) -> None:
        """Add a request."""
        self._started[request] = self._clock()

    def get_start(self, request: Hashable) -> float:
        """Return when a request began."""
        return self._started[request]

    def end(self, request: Hashable, *, is_answered: bool) -> None:
        """Remove a request; if it was answered, its duration enters the estimate."""
        took_s = self._clock() - self._started.pop(request)
        if is_answered:
            weight = NEWEST if self._usual_s else 1.0
            self._usual_s += weight * (took_s - self._usual_s)

    def estimate_end_s(self) -> float:
        """Return the seconds until the oldest may have ended.

        A request that has outlasted the usual time may take as long again as it has run.
        """
        ran_s = self._clock() - next(iter(self._started.values()))
        left_s = self._usual_s - ran_s
        return left_s if left_s > 0 else ran_s
