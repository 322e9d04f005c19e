"""A streamed response that owns the permit, the record and the generation."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from server.api.edge.shared import WRITE_PAUSED
from server.errors import ApiError, ClientTooSlow


class OutputBudget:
    """The memory budget of the unread events of all streams."""

    def __init__(self, max_bytes: int) -> None:
        self.used = 0
        self._max_bytes = max_bytes

    @property
    def is_exceeded(self) -> bool:
        """Whether the unread events exceed the budget."""
        return self.used > self._max_bytes


class EventStream(StreamingResponse):
    """A stream of server-sent events that holds its resources no longer than the engine works.

    Events that the client does not read are buffered up to `max_buffered_bytes`; beyond that the
    generation is aborted. In any case the permit is released when the engine is done, and the write
    timeout closes the connection.
    """

    def __init__(
        self,
        events: AsyncIterator[bytes],
        resources: AsyncExitStack,
        headers: Mapping[str, str],
        *,
        max_buffered_bytes: int,
        budget: OutputBudget,
        abort: Callable[[ApiError], None],
    ) -> None:
        """After `abort`, the next event holds its error and is the last one."""
        super().__init__(
            events,
            media_type="text/event-stream",
            # Proxies must not buffer events.
            headers={"cache-control": "no-cache", "x-accel-buffering": "no", **headers},
        )
        self._events = events
        self._resources = resources
        self._max_buffered_bytes = max_buffered_bytes
        self._budget = budget
        self._abort = abort
        self._is_write_paused: Callable[[], bool] = _never
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; Starlette stops when the client disconnects."""
        self._is_write_paused = scope.get("extensions", {}).get(WRITE_PAUSED, _never)
        try:
            async with self._resources:
                await super().__call__(scope, receive, send)
        finally:
            self._budget.used -= self._unsent_bytes

    async def stream_response(self, send: Send) -> None:
        """Send the head, then each event as soon as the client takes it."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        await self._generate(send)
        await self._resources.aclose()
        while self._unsent:
            await self._send_oldest(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _generate(self, send: Send) -> None:
        """Send events until the engine is done; keep those that the client does not take."""
        async for event in self._events:
            if not self._unsent and not self._is_write_paused():
                await send(_body(event))
                continue
            self._keep(event)
            while self._unsent and not self._is_write_paused():
                await self._send_oldest(send)
            if self._unsent_bytes > self._max_buffered_bytes or self._budget.is_exceeded:
                self._abort(ClientTooSlow("The stream was not read: the generation was aborted."))

    def _keep(self, event: bytes) -> None:
        self._unsent.append(event)
        self._unsent_bytes += len(event)
        self._budget.used += len(event)

    async def _send_oldest(self, send: Send) -> None:
        event = self._unsent.popleft()
        self._unsent_bytes -= len(event)
        self._budget.used -= len(event)
        await send(_body(event))


def _body(event: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": event, "more_body": True}


def _never() -> bool:
    return False
