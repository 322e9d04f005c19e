"""Interrupts a stream of deltas: at its deadline, or when it is aborted."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from server.errors import ApiError, DeadlineExceeded

T = TypeVar("T")


class Interruption:
    """Interrupts the reading of one generation; `deadline` is on the event loop's clock."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        self._error: ApiError | None = None

    def abort(self, error: ApiError) -> None:
        """Have the next read raise `error`."""
        self._error = error

    async def limit(self, read: Awaitable[T]) -> T:
        """Await a read. Raises `DeadlineExceeded`."""
        limit = asyncio.timeout_at(self.deadline)
        try:
            async with limit:
                return await read
        except TimeoutError:
            if limit.expired():
                raise build_deadline_error() from None
            raise

    def check(self) -> None:
        """Raise the error that the generation was aborted with, if it was."""
        if self._error is not None:
            raise self._error


def build_deadline_error() -> DeadlineExceeded:
    """Return the error of a request that exceeded its deadline."""
    return DeadlineExceeded("The request exceeded its time limit.")
