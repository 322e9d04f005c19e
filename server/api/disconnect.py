"""Cancels work whose client has gone away before the first byte of its answer."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

from server.errors import ClientGone

T = TypeVar("T")

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def cancel_on_disconnect(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, or cancel it and raise `ClientGone` when the client leaves first.

    `receive` is ASGI's, after the body has been read: its next message is `http.disconnect`.
    Starlette watches for that only while it streams.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGone
    finally:
        for task in (working, leaving):
            task.cancel()
        # Whatever the work held is released before the caller goes on.
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
