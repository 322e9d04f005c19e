"""Storage for the library `limits`: usage within a moving window of time.

The library's own in-memory storage uses the wall clock, so that setting the clock back would lock
keys out. It also starts a thread after a hit, keeps a list entry for each token, and forgets any
excess after a minute; here the excess is paid off at the rate of the limit.
"""

import math
import sys
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
    """The uses of a window, oldest first, their sum, and what exceeds the limit: the debt.

    Uses that leave the window make room for as much of the debt, as if it were used then.
    """

    expiry: int
    limit: int
    total: int = 0
    debt: int = 0
    uses: deque[_Use] = field(default_factory=deque)

    def update(self, now: float, limit: int) -> None:
        """Drop uses that have left the window; apply the limit, which may be new, to the debt."""
        while self.uses and self.uses[0].time <= now - self.expiry:
            use = self.uses.popleft()
            self.total -= use.amount
            self._pay(use.time + self.expiry)
        self.limit = limit
        self._pay(now)

    def add(self, now: float, amount: int) -> None:
        """Count a use; merge it with the newest one if that is recent enough."""
        fitting = max(min(amount, self.limit - self.total), 0)
        self.debt += amount - fitting
        self.total += fitting
        if self.uses and now - self.uses[-1].time < STEP_S:
            self.uses[-1].amount += fitting
        elif fitting:
            self.uses.append(_Use(now, fitting))

    def remove(self, at: float, amount: int) -> None:
        """Forget a use that was counted at that time, if it has not left the window yet."""
        unpaid = min(self.debt, amount)
        self.debt -= unpaid
        for use in reversed(self.uses):
            if use.time <= at:
                taken = min(use.amount, amount - unpaid)
                use.amount -= taken
                self.total -= taken
                if not use.amount:
                    self.uses.remove(use)
                return

    def find_exit(self, amount: int) -> float:
        """Return when `amount` of the usage, at most all of it, has left the window."""
        minutes = max(math.ceil((amount - self.total) / self.limit), 0)  # of paying the debt
        amount -= minutes * self.limit
        for use in self.uses:
            amount -= use.amount
            if amount <= 0:
                return use.time + (minutes + 1) * self.expiry
        raise ValueError("less is used")

    def _pay(self, now: float) -> None:
        amount = min(self.debt, self.limit - self.total)
        if amount > 0:
            self.debt -= amount
            self.total += amount
            self.uses.append(_Use(now, amount))


class WindowStorage(Storage, MovingWindowSupport):
    """Uses by key, on the monotonic clock. For one thread.

    The library requires `acquire_entry`, `incr`, `get`, `reset` and `check`; nothing here calls
    them.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.now = clock
        self._windows: dict[str, _Uses] = {}

    def add(self, key: str, limit: int, expiry: int, amount: int) -> int:
        """Count a use, even beyond the limit; return the usage after it."""
        window = self._windows.setdefault(key, _Uses(expiry, limit))
        now = self.now()
        window.update(now, limit)
        window.add(now, amount)
        return window.total + window.debt

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the window's start and its usage.

        Something is free `expiry` seconds after the start.
        """
        window = self._windows.get(key)
        if window is None:
            return self.now(), 0
        window.update(self.now(), limit)
        used = window.total + window.debt
        start = self.now() if used < limit else window.find_exit(used - limit + 1) - expiry
        return start, used

    def remove(self, key: str, at: float, amount: int) -> None:
        """Forget a use that was added at that time."""
        if window := self._windows.get(key):
            window.remove(at, amount)

    def find_room(self, key: str, limit: int, expiry: int, amount: int) -> float:
        """Return when `amount` fits; `inf` if it does not fit even once all usage has left."""
        used = self.get_moving_window(key, limit, expiry)[1]
        excess = used + amount - limit
        if excess <= 0:
            return self.now()
        return self._windows[key].find_exit(excess) if excess <= used else math.inf

    def get_expiry(self, key: str) -> float:
        """Return when all usage has left the window."""
        window = self._windows.get(key)
        if window is None or not window.uses:
            return self.now()
        return window.find_exit(window.total + window.debt)

    def clear(self, key: str) -> None:
        """Forget the usage."""
        self._windows.pop(key, None)

    @property
    def base_exceptions(self) -> type[Exception]:
        """The errors of this storage: none."""
        return ValueError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a use if it fits below the limit; return whether it does."""
        fits = self.get_moving_window(key, limit, expiry)[1] + amount <= limit
        if fits:
            self.add(key, limit, expiry, amount)
        return fits

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count a use without any limit; return the usage after it."""
        return self.add(key, sys.maxsize, expiry, amount)

    def get(self, key: str) -> int:
        """Return the usage."""
        window = self._windows.get(key)
        return 0 if window is None else self.get_moving_window(key, window.limit, window.expiry)[1]

    def reset(self) -> int:
        """Forget everything; return the number of forgotten keys."""
        count = len(self._windows)
        self._windows.clear()
        return count

    def check(self) -> bool:
        """Return whether the storage works."""
        return True
