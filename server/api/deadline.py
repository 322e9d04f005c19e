"""The deadline of a request: the operator's limit, or a shorter one that the client set."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import Request

from server.errors import InvalidValue
from server.generation.interruption import build_deadline_error

TIMEOUT_HEADER: Final = "x-request-timeout-ms"
MAX_DIGITS: Final = 12


def read_deadline(request: Request, limit_s: float) -> float:
    """Return when a request must be answered, on the event loop's clock.

    Raises `InvalidValue` for a header that is not a positive number of milliseconds.
    """
    now = asyncio.get_running_loop().time()
    header = request.headers.get(TIMEOUT_HEADER)
    if header is None:
        return now + limit_s
    if not (header.isdecimal() and header.isascii() and 0 < len(header) <= MAX_DIGITS):
        raise _invalid_header()
    if (milliseconds := int(header)) == 0:
        raise _invalid_header()
    return now + min(milliseconds / 1000, limit_s)


def _invalid_header() -> InvalidValue:
    return InvalidValue(
        f"The header '{TIMEOUT_HEADER}' must be a number of milliseconds, 1 or more."
    )


@asynccontextmanager
async def limit_time(deadline: float) -> AsyncIterator[None]:
    """Raise `DeadlineExceeded` (504) if the block is not done by the deadline."""
    limit = asyncio.timeout_at(deadline)
    try:
        async with limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise build_deadline_error() from None
        raise
