"""Work awaited together, shared between callers, or moved to a thread."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.concurrency import LongCalls, SingleFlight, gather_or_cancel, run_in_thread_if_large


async def test_gather_returns_results_in_order() -> None:
    assert await gather_or_cancel(asyncio.sleep(0, number) for number in range(3)) == [0, 1, 2]


async def test_the_first_error_of_a_gather_cancels_the_rest() -> None:
    cancelled = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        await gather_or_cancel([wait(), fail()])
    assert cancelled.is_set()


@pytest.mark.parametrize(("size", "is_inline"), [(0, True), (10, True), (11, False)])
async def test_only_large_work_leaves_the_event_loop(size: int, is_inline: bool) -> None:
    thread = await run_in_thread_if_large(size, 10, threading.current_thread)
    assert (thread is threading.current_thread()) is is_inline


class Computation:
    """Counts its runs; ends when `go` is set."""

    def __init__(self) -> None:
        self.runs = 0
        self.cancelled = 0
        self.started = asyncio.Event()
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.runs += 1
        run = self.runs
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return run


async def start_waiters(
    flights: SingleFlight[int],
    key: str,
    compute: Callable[[], Coroutine[Any, Any, int]],
    count: int,
) -> list[asyncio.Task[int]]:
    """Start `count` calls that wait for one key."""
    tasks = [asyncio.create_task(flights.run(key, compute)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def cancel(task: asyncio.Task[int]) -> None:
    """Cancel one waiter and wait until it has left."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_equal_keys_share_a_run() -> None:
    flights, work = SingleFlight[int](), Computation()
    tasks = await start_waiters(flights, "a", work, 5)
    assert len(flights) == 1
    work.go.set()
    assert await asyncio.gather(*tasks) == [1] * 5
    assert len(flights) == 0


async def test_other_keys_run_separately() -> None:
    flights, work = SingleFlight[int](), Computation()
    tasks = await start_waiters(flights, "a", work, 1) + await start_waiters(flights, "b", work, 1)
    assert len(flights) == 2
    work.go.set()
    assert await asyncio.gather(*tasks) == [1, 2]


async def test_results_are_not_kept() -> None:
    flights, work = SingleFlight[int](), Computation()
    work.go.set()
    assert await flights.run("a", work) == 1
    assert await flights.run("a", work) == 2


async def test_an_error_reaches_every_waiter_and_is_not_kept() -> None:
    flights, work = SingleFlight[int](), Computation()
    work.error = LookupError("no")
    tasks = await start_waiters(flights, "a", work, 3)
    work.go.set()
    for task in tasks:
        with pytest.raises(LookupError, match="no"):
            await task
    work.error = None
    assert await flights.run("a", work) == 2
    assert len(flights) == 0


async def test_a_cancelled_waiter_does_not_cancel_the_run() -> None:
    flights, work = SingleFlight[int](), Computation()
    first, second, third = await start_waiters(flights, "a", work, 3)
    await cancel(first)
    await cancel(third)
    assert work.cancelled == 0
    work.go.set()
    assert await second == 1


async def test_the_last_cancelled_waiter_cancels_the_run() -> None:
    flights, work = SingleFlight[int](), Computation()
    first, second = await start_waiters(flights, "a", work, 2)
    await work.started.wait()
    await cancel(first)
    await cancel(second)
    await asyncio.sleep(0)
    assert work.cancelled == 1
    assert len(flights) == 0


async def test_a_call_after_the_last_waiter_left_starts_a_new_run() -> None:
    flights, work = SingleFlight[int](), Computation()
    (first,) = await start_waiters(flights, "a", work, 1)
    await work.started.wait()
    first.cancel()
    await asyncio.sleep(0)  # its run has not yet been cancelled
    second = asyncio.create_task(flights.run("a", work))
    work.go.set()
    assert await second == 2
    assert work.cancelled == 1


async def test_a_run_that_ignores_its_cancellation_is_not_reported() -> None:
    flights = SingleFlight[int]()
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    started = asyncio.Event()

    async def ignore_cancellation() -> int:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return 1
        return 0

    task = asyncio.create_task(flights.run("a", ignore_cancellation))
    await started.wait()
    await cancel(task)
    await asyncio.sleep(0)
    assert len(flights) == 0
    assert reported == []


def test_the_loops_end_does_not_wait_for_long_calls() -> None:
    release = threading.Event()

    async def give_up() -> None:
        calls = LongCalls("test")
        call = asyncio.create_task(calls.run(release.wait, timeout=60))
        await asyncio.sleep(0.05)
        call.cancel()
        calls.close()

    began = time.monotonic()
    asyncio.run(give_up())
    assert time.monotonic() - began < 20
    release.set()


async def test_long_calls_return_and_raise() -> None:
    calls = LongCalls("test")
    threads = {await calls.run(threading.get_ident) for _ in range(3)}
    assert len(threads) == 1
    with pytest.raises(ValueError, match="no number"):
        await calls.run(_fail, "no number")
    calls.close()


def _fail(message: str) -> None:
    raise ValueError(message)
