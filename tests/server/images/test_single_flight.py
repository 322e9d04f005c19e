"""Concurrent calls for one key share one computation, and its fate."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.images.single_flight import SingleFlight


class Work:
    """A computation that counts its runs and ends when it is told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.cancelled = 0
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.runs += 1
        run = self.runs
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return run


async def waiters(
    flights: SingleFlight[int],
    key: str,
    compute: Callable[[], Coroutine[Any, Any, int]],
    count: int,
) -> list[asyncio.Task[int]]:
    """Start calls that wait for one key."""
    tasks = [asyncio.create_task(flights.run(key, compute)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def cancel(task: asyncio.Task[int]) -> None:
    """Cancel one waiter and see it go."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_equal_keys_share_a_run() -> None:
    flights, work = SingleFlight[int](), Work()
    tasks = await waiters(flights, "a", work, 5)
    assert len(flights) == 1
    work.go.set()
    assert await asyncio.gather(*tasks) == [1] * 5
    assert len(flights) == 0


async def test_other_keys_run_apart() -> None:
    flights, work = SingleFlight[int](), Work()
    tasks = await waiters(flights, "a", work, 1) + await waiters(flights, "b", work, 1)
    assert len(flights) == 2
    work.go.set()
    assert await asyncio.gather(*tasks) == [1, 2]


async def test_results_are_not_kept() -> None:
    flights, work = SingleFlight[int](), Work()
    work.go.set()
    assert await flights.run("a", work) == 1
    assert await flights.run("a", work) == 2


async def test_an_error_reaches_every_waiter_and_is_not_kept() -> None:
    flights, work = SingleFlight[int](), Work()
    work.error = LookupError("no")
    tasks = await waiters(flights, "a", work, 3)
    work.go.set()
    for task in tasks:
        with pytest.raises(LookupError, match="no"):
            await task
    work.error = None
    assert await flights.run("a", work) == 2
    assert len(flights) == 0


async def test_a_waiter_that_leaves_takes_nothing_from_the_others() -> None:
    flights, work = SingleFlight[int](), Work()
    first, second, third = await waiters(flights, "a", work, 3)
    await cancel(first)
    await cancel(third)
    assert work.cancelled == 0
    work.go.set()
    assert await second == 1


async def test_the_last_waiter_to_leave_ends_the_run() -> None:
    flights, work = SingleFlight[int](), Work()
    first, second = await waiters(flights, "a", work, 2)
    await work.begun.wait()
    await cancel(first)
    await cancel(second)
    await asyncio.sleep(0)
    assert work.cancelled == 1
    assert len(flights) == 0


async def test_whoever_comes_after_the_last_has_left_starts_anew() -> None:
    flights, work = SingleFlight[int](), Work()
    (first,) = await waiters(flights, "a", work, 1)
    await work.begun.wait()
    first.cancel()
    await asyncio.sleep(0)  # it has left, but its run has not yet heard of it
    second = asyncio.create_task(flights.run("a", work))
    work.go.set()
    assert await second == 2
    assert work.cancelled == 1


async def test_a_run_that_ends_badly_while_nobody_waits_is_not_reported() -> None:
    flights = SingleFlight[int]()
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    begun = asyncio.Event()

    async def stubborn() -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return 1
        return 0

    task = asyncio.create_task(flights.run("a", stubborn))
    await begun.wait()
    await cancel(task)
    await asyncio.sleep(0)
    assert len(flights) == 0
    assert reported == []
