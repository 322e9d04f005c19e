"""One timer checks all connections, while there are any."""

import asyncio
import time

from server.api.edge.sweep import NUM_SLICES, Sweep


class Connection:
    """Counts checks."""

    def __init__(self, failures: int = 0) -> None:
        self.checks = 0
        self._failures = failures
        self.twice = asyncio.Event()

    def check_timeouts(self, now: float) -> None:
        """Fail at first, if told to."""
        assert now <= asyncio.get_running_loop().time()
        self.checks += 1
        if self.checks >= 2:
            self.twice.set()
        if self.checks <= self._failures:
            raise LookupError


async def test_every_connection_is_checked() -> None:
    loop, sweep = asyncio.get_running_loop(), Sweep(0.01)
    connections = [Connection() for _ in range(NUM_SLICES + 3)]
    slices = [sweep.add(connection, loop) for connection in connections]
    await asyncio.gather(*(connection.twice.wait() for connection in connections))
    for connection, index in zip(connections, slices, strict=True):
        sweep.discard(connection, index)
    seen = [connection.checks for connection in connections]
    later = Connection()
    index = sweep.add(later, loop)
    await later.twice.wait()
    assert [connection.checks for connection in connections] == seen
    sweep.discard(later, index)


async def test_a_failure_does_not_end_the_sweep() -> None:
    loop, sweep = asyncio.get_running_loop(), Sweep(0.01)
    reported = []
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
    connection = Connection(failures=1)
    index = sweep.add(connection, loop)
    await connection.twice.wait()
    sweep.discard(connection, index)
    assert [type(error) for error in reported] == [LookupError]


async def test_a_tick_after_a_pause_of_the_loop_waits_for_input() -> None:
    loop, sweep = asyncio.get_running_loop(), Sweep(0.01 * NUM_SLICES)
    connections = [Connection() for _ in range(NUM_SLICES)]
    slices = [sweep.add(connection, loop) for connection in connections]
    time.sleep(0.05)  # noqa: ASYNC251
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not any(connection.checks for connection in connections)
    await connections[0].twice.wait()
    for connection, index in zip(connections, slices, strict=True):
        sweep.discard(connection, index)
