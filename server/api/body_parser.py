"""Parsing of request bodies: small ones at once, large ones one at a time in a thread.

A parser holds the interpreter's lock. With one thread for all large bodies, they hold it one at a
time, each for as long as `server.api.body` bounds it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

INLINE_BYTES: Final = 64 * 1024


class BodyParser:
    """Runs body parsers."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="parser")

    async def run(self, parse: Callable[[bytearray], T], body: bytearray) -> T:
        """Return `parse(body)`, or raise what it raises."""
        if len(body) <= INLINE_BYTES:
            return parse(body)
        return await asyncio.get_running_loop().run_in_executor(self._thread, parse, body)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)
