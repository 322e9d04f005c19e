"""One timer for the timeouts of all connections."""

import asyncio
from typing import Final, Protocol

# One slice is checked at each tick, so that thousands of connections delay the loop only a little.
NUM_SLICES: Final = 8


class Swept(Protocol):
    """A connection with timeouts."""

    def check_timeouts(self, now: float) -> None:
        """Refuse or close if a timeout has passed; `now` is the loop's time."""


class Sweep:
    """Checks each open connection once per interval. The timer runs only while there are any."""

    def __init__(self, interval_s: float) -> None:
        self._tick_s = interval_s / NUM_SLICES
        self._slices: list[set[Swept]] = [set() for _ in range(NUM_SLICES)]
        self._next_slice = 0  # to check
        self._added = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_postponed = False

    def add(self, connection: Swept, loop: asyncio.AbstractEventLoop) -> int:
        """Check a connection from now on. Return its slice, which `discard` needs."""
        self._added += 1
        index = self._added % NUM_SLICES
        self._slices[index].add(connection)
        if self._timer is None:
            self._arm(loop)
        return index

    def discard(self, connection: Swept, index: int) -> None:
        """Stop checking a connection."""
        self._slices[index].discard(connection)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + self._tick_s
        self._timer = loop.call_at(due, self._run, loop, due)

    def _run(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._timer = None
        now = loop.time()
        try:
            # After a pause of the loop, first let it read what has arrived meanwhile.
            self._is_postponed = not self._is_postponed and now - due > self._tick_s
            if not self._is_postponed:
                self._check_slice(now)
        finally:
            if any(self._slices):
                self._arm(loop)

    def _check_slice(self, now: float) -> None:
        connections = list(self._slices[self._next_slice])
        self._next_slice = (self._next_slice + 1) % NUM_SLICES
        for connection in connections:
            connection.check_timeouts(now)
