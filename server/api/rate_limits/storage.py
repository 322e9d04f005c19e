"""Storage for the library `limits`: what was used within a moving window of time.

The library's own storage in memory goes by the wall clock, so that a clock set back would lock keys
out; it starts a thread after a hit, and keeps a list entry for each token.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from limits.storage import MovingWindowSupport, Storage

# Uses within this time are counted as one, so that a window has few entries.
STEP_S: Final = 0.1


@dataclass(slots=True)
class _Use:
    time: float
    amount: int


@dataclass(slots=True)
class _Uses:
    """The uses of a window, oldest first, and their sum."""

    expiry: int
    total: int = 0
    uses: deque[_Use] = field(default_factory=deque)

    def drop_until(self, oldest: float) -> None:
        """Drop what is no longer in the window."""
        while self.uses and self.uses[0].time <= oldest:
            self.total -= self.uses.popleft().amount

    def add(self, now: float, amount: int) -> None:
        """Count a use, with the newest one if that is as good as now."""
        self.total += amount
        if self.uses and now - self.uses[-1].time < STEP_S:
            self.uses[-1].amount += amount
        else:
            self.uses.append(_Use(now, amount))

    def find_start(self, limit: int) -> float | None:
        """Return the time of the oldest use after whose end less than the limit is left."""
        left = self.total
        for use in self.uses:
            left -= use.amount
            if left < limit:
                return use.time
        return None


class WindowStorage(Storage, MovingWindowSupport):
    """Uses by key, on the monotonic clock. For one thread."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.now = clock
        self._windows: dict[str, _Uses] = {}

    @property
    def base_exceptions(self) -> type[Exception]:
        """The errors of this storage: it has none."""
        return ValueError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a use if it fits below the limit; return whether it does."""
        if self._look_up(key, expiry).total + amount > limit:
            return False
        self.incr(key, expiry, amount)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the window's start, and what is used in it.

        The start is the time of the oldest use after whose end something is free.
        """
        window = self._look_up(key, expiry)
        start = window.find_start(limit)
        return self.now() if start is None else start, window.total

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count a use, also beyond any limit; return what is used then."""
        window = self._windows.setdefault(key, _Uses(expiry))
        now = self.now()
        window.drop_until(now - expiry)
        window.add(now, amount)
        return window.total

    def get(self, key: str) -> int:
        """Return what is used."""
        window = self._windows.get(key)
        return 0 if window is None else self._look_up(key, window.expiry).total

    def get_expiry(self, key: str) -> float:
        """Return when the newest use leaves the window."""
        window = self._windows.get(key)
        return window.uses[-1].time + window.expiry if window and window.uses else self.now()

    def clear(self, key: str) -> None:
        """Forget what is used."""
        self._windows.pop(key, None)

    def reset(self) -> int:
        """Forget everything; return the number of keys that was."""
        count = len(self._windows)
        self._windows.clear()
        return count

    def check(self) -> bool:
        """Return whether the storage works."""
        return True

    def _look_up(self, key: str, expiry: int) -> _Uses:
        """Return a key's window, less what has left it."""
        window = self._windows.get(key)
        if window is None:
            return _Uses(expiry)
        window.drop_until(self.now() - expiry)
        return window
