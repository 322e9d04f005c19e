"""One timer for the timeouts of all connections."""

import asyncio
from typing import Protocol


class Swept(Protocol):
    """A connection with timeouts."""

    def check_timeouts(self, now: float) -> None:
        """End what has taken too long by `now`, in the loop's time."""


class Sweep:
    """Checks all open connections at an interval. The timer runs only while there are any."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._connections: set[Swept] = set()
        self._is_postponed = False
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Swept, loop: asyncio.AbstractEventLoop) -> None:
        """Check a connection from now on."""
        self._connections.add(connection)
        if self._timer is None:
            self._arm(loop)

    def discard(self, connection: Swept) -> None:
        """Check a connection no more."""
        self._connections.discard(connection)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + self._interval_s
        self._timer = loop.call_at(due, self._run, loop, due)

    def _run(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._timer = None
        now = loop.time()
        try:
            # After a pause of the loop, first let it read what has arrived meanwhile.
            self._is_postponed = not self._is_postponed and now - due > self._interval_s
            if not self._is_postponed:
                self._check(now)
        finally:
            if self._connections:
                self._arm(loop)

    def _check(self, now: float) -> None:
        for connection in list(self._connections):
            connection.check_timeouts(now)
