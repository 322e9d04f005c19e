"""One limit per minute of one key."""

from dataclasses import dataclass
from typing import Final

from limits import RateLimitItemPerMinute
from limits.strategies import MovingWindowRateLimiter

from server.api.rate_limits.storage import WindowStorage

MINUTE_S: Final = 60


class _PerMinute(RateLimitItemPerMinute):
    """A limit whose key is without the amount: what was used stays when the limit changes."""

    def key_for(self, *identifiers: bytes | str | float) -> str:
        return "/".join(map(str, identifiers))


@dataclass(frozen=True, slots=True)
class WindowState:
    """A window at one moment: what is left, and in how many seconds all is free again."""

    resource: str
    limit: int
    remaining: int
    reset_s: float


class Window:
    """What a key used of one resource in the last minute.

    A use that is under way when the limit is reached counts beyond it: the excess is paid off at
    the rate of the limit before anything is free again.
    """

    def __init__(self, resource: str, name: str, limit: int, storage: WindowStorage) -> None:
        """`resource` is the limit's name in headers, such as `output-tokens`; `name` the key's."""
        self.resource = resource
        self.limit = limit
        self._item = _PerMinute(limit)
        self._ids = (resource, name)
        self._storage = storage
        self._limiter = MovingWindowRateLimiter(storage)
        self._key = self._item.key_for(*self._ids)

    def has_room(self, reserved: int = 0) -> bool:
        """Whether anything is free, beside what is reserved."""
        return self._limiter.test(self._item, *self._ids, cost=reserved + 1)

    def add(self, amount: int) -> None:
        """Count a use, also beyond the limit."""
        self._storage.add(self._key, self.limit, MINUTE_S, amount)

    def remove(self, at: float, amount: int) -> None:
        """Forget a use that was added at that time."""
        self._storage.remove(self._key, at, amount)

    def wait_s(self, reserved: int = 0) -> float:
        """Return in how many seconds anything is free, beside what is reserved.

        It is `inf` where what is reserved leaves nothing of an unused window.
        """
        free_at = self._storage.find_room(self._key, self.limit, MINUTE_S, reserved + 1)
        return max(free_at - self._storage.now(), 0.0)

    def state(self, reserved: int = 0) -> WindowState:
        """Return the present state. What is reserved is not left, and may yet be used."""
        _, remaining = self._limiter.get_window_stats(self._item, *self._ids)
        reset_s = self._storage.get_expiry(self._key) - self._storage.now()
        return WindowState(
            self.resource,
            self.limit,
            remaining=max(remaining - reserved, 0),
            reset_s=max(reset_s, MINUTE_S if reserved else 0.0),
        )

    def clear(self) -> None:
        """Forget what was used."""
        self._storage.clear(self._key)
