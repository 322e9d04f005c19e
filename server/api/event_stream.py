"""A streamed response that owns the permit, the record and the generation."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Final

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

# An ASGI extension of our HTTP protocol: whether the client's socket takes no more bytes.
WRITE_PAUSED: Final = "llava.write_paused"


class EventStream(StreamingResponse):
    """A stream of server-sent events that holds its resources no longer than the engine works.

    Events that the client does not read are buffered up to `max_buffered_bytes`; beyond that the
    generation is aborted. Either way the permit goes back when the engine is done, and the
    connection is left to the write timeout.
    """

    def __init__(
        self,
        events: AsyncIterator[bytes],
        resources: AsyncExitStack,
        headers: Mapping[str, str],
        *,
        max_buffered_bytes: int,
        on_overflow: Callable[[], bytes],
    ) -> None:
        """`on_overflow` returns the last event of a stream that is aborted."""
        super().__init__(
            events,
            media_type="text/event-stream",
            # Proxies must not buffer events.
            headers={"cache-control": "no-cache", "x-accel-buffering": "no", **headers},
        )
        self._events = events
        self._resources = resources
        self._max_buffered_bytes = max_buffered_bytes
        self._on_overflow = on_overflow
        self._is_paused: Callable[[], bool] = _never

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; Starlette stops when the client disconnects."""
        self._is_paused = scope.get("extensions", {}).get(WRITE_PAUSED, _never)
        async with self._resources:
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send the head, then each event as soon as the client takes it."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        buffer = await self._generate(send)
        await self._resources.aclose()
        while buffer:
            await send(_body(buffer.popleft()))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _generate(self, send: Send) -> deque[bytes]:
        """Send events until there are no more; return those that the client did not take."""
        buffer: deque[bytes] = deque()
        num_bytes = 0
        async for event in self._events:
            if not buffer and not self._is_paused():
                await send(_body(event))
                continue
            buffer.append(event)
            num_bytes += len(event)
            while buffer and not self._is_paused():
                num_bytes -= len(buffer[0])
                await send(_body(buffer.popleft()))
            if num_bytes > self._max_buffered_bytes:
                buffer.append(self._on_overflow())
                break
        return buffer


def _body(event: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": event, "more_body": True}


def _never() -> bool:
    return False
