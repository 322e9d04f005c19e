"""One limit per minute of one key."""

from dataclasses import dataclass
from typing import Final

from limits import RateLimitItemPerMinute
from limits.strategies import MovingWindowRateLimiter

from server.api.rate_limits.storage import WindowStorage

MINUTE_S: Final = 60


class _PerMinute(RateLimitItemPerMinute):
    """A limit whose storage key lacks the amount, so that a changed limit keeps its usage."""

    def key_for(self, *identifiers: bytes | str | float) -> str:
        return "/".join(map(str, identifiers))


@dataclass(frozen=True, slots=True)
class WindowState:
    """A window at one moment: what is left, and the seconds until all is free again."""

    resource: str
    limit: int
    remaining: int
    reset_s: float


class Window:
    """A key's usage of one resource in the last minute.

    A request may go on beyond the limit; the excess is paid off at the rate of the limit before
    anything is free again.
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
        """Whether anything is free besides the reservations."""
        return self._limiter.test(self._item, *self._ids, cost=reserved + 1)

    def add(self, amount: int) -> None:
        """Count a use, even beyond the limit."""
        self._storage.add(self._key, self.limit, MINUTE_S, amount)

    def remove(self, at: float, amount: int) -> None:
        """Forget a use that was added at that time."""
        self._storage.remove(self._key, at, amount)

    def wait_s(self, reserved: int = 0) -> float:
        """Return the seconds until anything is free besides the reservations.

        `inf` if the reservations take up even an unused window.
        """
        free_at = self._storage.find_room(self._key, self.limit, MINUTE_S, reserved + 1)
        return max(free_at - self._storage.now(), 0.0)

    def state(self, reserved: int = 0) -> WindowState:
        """Return the present state. Reserved amounts do not count as left."""
        _, remaining = self._limiter.get_window_stats(self._item, *self._ids)
        reset_s = self._storage.get_expiry(self._key) - self._storage.now()
        return WindowState(
            self.resource,
            self.limit,
            remaining=max(remaining - reserved, 0),
            reset_s=max(reset_s, MINUTE_S if reserved else 0.0),
        )

    def clear(self) -> None:
        """Forget the usage."""
        self._storage.clear(self._key)
