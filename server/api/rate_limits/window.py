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
    """A window at one moment: what is left, when something is free again, and when all is."""

    resource: str
    limit: int
    remaining: int
    retry_after_s: float
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

    def state(self) -> WindowState:
        """Return the present state."""
        free_at, remaining = self._limiter.get_window_stats(self._item, *self._ids)
        empty_at = self._storage.get_expiry(self._key)
        now = self._storage.now()
        return WindowState(
            self.resource,
            self.limit,
            remaining=max(remaining, 0),
            retry_after_s=max(free_at - now, 0.0) if remaining <= 0 else 0.0,
            reset_s=max(empty_at - now, 0.0),
        )

    def clear(self) -> None:
        """Forget what was used."""
        self._storage.clear(self._key)
