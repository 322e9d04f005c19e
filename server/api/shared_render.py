"""Shares one rendering between concurrent callers, in a thread and at a limited rate."""

import asyncio
from collections.abc import Callable
from typing import Final

# Seconds between two renderings: a client in a loop must not keep the interpreter's lock.
MIN_INTERVAL_S: Final = 0.05


class SharedRender:
    """Calls a function that takes milliseconds, such as the one behind `/metrics`.

    A caller gets what was rendered after its call, never an older result.
    """

    def __init__(self, render: Callable[[], bytes]) -> None:
        self._render = render
        self._next: asyncio.Task[bytes] | None = None  # not yet rendering
        self._turn = asyncio.Lock()
        self._next_at = 0.0

    async def get(self) -> bytes:
        """Return the result of the next call."""
        if self._next is None:
            self._next = asyncio.create_task(self._run())
        return await asyncio.shield(self._next)

    async def _run(self) -> bytes:
        loop = asyncio.get_running_loop()
        async with self._turn:
            await asyncio.sleep(self._next_at - loop.time())
            self._next_at = loop.time() + MIN_INTERVAL_S
            self._next = None
            return await asyncio.to_thread(self._render)
