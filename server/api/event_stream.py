"""A streamed response that owns the permit, the record and the generation."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class EventStream(StreamingResponse):
    """A stream of server-sent events that releases the request's resources when it ends."""

    def __init__(
        self,
        content: AsyncIterator[bytes],
        resources: AsyncExitStack,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(
            content,
            media_type="text/event-stream",
            # Proxies must not buffer events.
            headers={"cache-control": "no-cache", "x-accel-buffering": "no", **headers},
        )
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; Starlette stops when the client disconnects."""
        async with self._resources:
            await super().__call__(scope, receive, send)
