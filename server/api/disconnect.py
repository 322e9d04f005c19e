"""Cancels a request's work when its client disconnects before the first byte."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

from server.errors import ClientGone

T = TypeVar("T")

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def cancel_on_disconnect(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; cancel it and raise `ClientGone` if the client disconnects first.

    `receive` is ASGI's, after the body has been read: its next message is `http.disconnect`.
    Starlette watches for that only while it streams.
    """
    work_task = asyncio.create_task(work)
    disconnect_task = asyncio.create_task(_await_disconnect(receive))
    try:
        await asyncio.wait((work_task, disconnect_task), return_when=asyncio.FIRST_COMPLETED)
        if work_task.done():
            return work_task.result()
        raise ClientGone
    finally:
        for task in (work_task, disconnect_task):
            task.cancel()
        # The work has released its resources before the caller continues.
        await asyncio.gather(work_task, disconnect_task, return_exceptions=True)


async def _await_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
