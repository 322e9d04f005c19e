"""Three ways to await work: together, shared between callers, or in a thread where it is large."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


class AsyncClosable(Protocol):
    """Anything with `aclose`."""

    async def aclose(self) -> None:
        """Give up what it holds."""


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

    Small work takes less time than handing it to a thread.
    """
    return work() if size <= max_inline_size else await asyncio.to_thread(work)


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
