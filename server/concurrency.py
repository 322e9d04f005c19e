"""Ways to await work: together, shared between callers, or in a thread if it is large or long."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class AsyncClosable(Protocol):
    """Anything with `aclose`."""

    async def aclose(self) -> None:
        """Release its resources."""


async def gather_or_cancel(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all coroutines; the first error cancels the rest."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def aclosing_on_error(resource: AsyncClosable) -> AsyncIterator[None]:
    """Close the resource if the block fails or is cancelled; else it is the caller's."""
    try:
        yield
    except BaseException:
        await resource.aclose()
        raise


async def run_in_thread_if_large(size: int, max_inline_size: int, work: Callable[[], T]) -> T:
    """Call `work` on the event loop up to `max_inline_size`, in a thread above it.

    Small work takes less time than the hand-over to a thread.
    """
    return work() if size <= max_inline_size else await asyncio.to_thread(work)


class LongCalls:
    """A thread for calls that may block for minutes; it lives until `close`.

    The end of the event loop waits for the threads of `asyncio.to_thread`, but not for this one.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the call's result. A running call continues if its caller is cancelled."""
        loop = asyncio.get_running_loop()
        # As in `asyncio.to_thread`: the call belongs to the same trace.
        bound = partial(copy_context().run, partial(call, *args, **kwargs))
        return await loop.run_in_executor(self._executor, bound)

    def close(self) -> None:
        """End the thread after its call, without waiting for it."""
        self._executor.shutdown(wait=False)


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    num_waiters: int = 0


class SingleFlight(Generic[T]):
    """Runs one computation per key at a time, and cancels it when its last waiter leaves."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    def __len__(self) -> int:
        """Return the number of running computations."""
        return len(self._flights)

    def __contains__(self, key: Hashable) -> bool:
        """Return whether a computation for `key` is running."""
        return key in self._flights

    async def run(self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of `compute()`, or of the computation already running for `key`."""
        flight = self._flights.get(key)
        if flight is None:
            flight = _Flight(asyncio.create_task(compute()))
            self._flights[key] = flight
            flight.task.add_done_callback(lambda _: self._remove(key, flight))
        flight.num_waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.num_waiters -= 1
            if flight.num_waiters == 0 and not flight.task.done():
                self._remove(key, flight)
                flight.task.cancel()

    def _remove(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
