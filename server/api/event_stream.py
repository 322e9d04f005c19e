"""A streamed response that holds a permit, a record and a generation."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class EventStream(StreamingResponse):
    """A stream of events that gives back what the request held, however it ends."""

    def __init__(
        self,
        content: AsyncIterator[bytes],
        held: AsyncExitStack,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(
            content,
            media_type="text/event-stream",
            # Proxies must pass each event on at once.
            headers={"cache-control": "no-cache", "x-accel-buffering": "no", **headers},
        )
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; Starlette stops when the client leaves."""
        async with self._held:
            await super().__call__(scope, receive, send)
