"""One request and its response, as uvicorn runs them, with what the edge adds."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from server.api.edge.body_rate import BodyRate
from server.api.edge.limits import KIB

# Larger bodies are written separately: joining would copy them.
MAX_JOINED_BYTES = 64 * KIB


class ResponseTransport:
    """The part of a transport that a cycle uses; `close` is the connection's, which may linger."""

    __slots__ = ("_head", "_write", "close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._write: Callable[[bytes], None] = transport.write
        self.write: Callable[[bytes], None] = self._write
        self._head = b""
        self.is_closing = transport.is_closing
        self.close = close

    def join_next_two(self) -> None:
        """Write the next two pieces at once: each write is a system call.

        For a head whose body is certain to follow.
        """
        self.write = self._keep

    def _keep(self, head: bytes) -> None:
        self._head = head
        self.write = self._write_joined

    def _write_joined(self, body: bytes) -> None:
        head, self._head = self._head, b""
        self.write = self._write
        if len(body) > MAX_JOINED_BYTES:
            self._write(head)
            self._write(body)
        else:
            self._write(head + body)

    @classmethod
    def build(cls, transport: asyncio.Transport, close: Callable[[], None]) -> asyncio.Transport:
        """Return an instance, typed as a transport."""
        return cast(asyncio.Transport, cls(transport, close))


class EdgeCycle(RequestResponseCycle):
    """Closes the connection after a response that starts before the end of a large request."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, max_drained_bytes: int, **parts: Any
    ) -> None:
        super().__init__(**parts)
        self.body_rate: BodyRate | None = None  # until the application waits
        self._time = loop.time
        self._max_drained_bytes = max_drained_bytes

    def disconnect(self) -> None:
        """Have the application see a disconnect; nothing more is sent."""
        self.disconnected = True
        self.waiting_for_100_continue = False
        self.message_event.set()

    def send(self, message: ASGISendEvent) -> Coroutine[Any, Any, None]:
        """Send one ASGI message."""
        if not self.response_started:
            if self.more_body and not self._can_drain():
                self.keep_alive = False
            if self._has_sized_body(message):
                cast(ResponseTransport, self.transport).join_next_two()
        return RequestResponseCycle.send(self, message)  # called for each token: super() costs more

    def _has_sized_body(self, message: ASGISendEvent) -> bool:
        """Whether the message starts a response whose body is certain to follow, unchunked."""
        return (
            message["type"] == "http.response.start"
            and not self.disconnected
            and self.scope["method"] != "HEAD"
            and any(name == b"content-length" for name, _ in message.get("headers", []))
        )

    def _can_drain(self) -> bool:
        """Whether the client is certain to send the rest of the body, and the rest is small."""
        if self.waiting_for_100_continue:
            return False
        lengths = [value for name, value in self.scope["headers"] if name == b"content-length"]
        return bool(lengths) and int(lengths[0]) <= self._max_drained_bytes

    def receive(self) -> Coroutine[Any, Any, ASGIReceiveEvent]:
        """Return the next ASGI message."""
        return self._receive_body() if self.more_body else super().receive()

    async def _receive_body(self) -> ASGIReceiveEvent:
        """Receive, and count the time until more of the body arrives."""
        rate = self.body_rate = self.body_rate or BodyRate()
        rate.start_wait(self._time())
        try:
            return await super().receive()
        finally:
            rate.end_wait(self._time())


class Http10Cycle(EdgeCycle):
    """HTTP/1.0 has no chunked encoding: the end of the connection ends the body."""

    _is_unsized = False

    def send(self, message: ASGISendEvent) -> Coroutine[Any, Any, None]:
        """Send one ASGI message, unchunked."""
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", [])}
            self._is_unsized = b"content-length" not in names
            if self._is_unsized:
                self.chunked_encoding = False
        elif message["type"] == "http.response.body" and self._is_unsized:
            self.expected_content_length = len(message.get("body", b""))
        return super().send(message)
