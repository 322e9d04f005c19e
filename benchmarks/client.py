"""A minimal HTTP/1.1 client that times responses; it shares cores with the server."""

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httptools

# An event with text; the event with the role has none.
TEXT_EVENT: Final = re.compile(rb'data: .*?"content": ?"(?!")[^\n]*\n\n')
LAST_EVENTS: Final = 4096
HTTP_PORT: Final = 80
MS: Final = 1000


@dataclass(slots=True)
class TimedResponse:
    """A response with its times, in seconds of `time.perf_counter`."""

    sent_at: float
    status: int = 0
    body: bytes = b""
    ended_at: float = 0.0
    text_times: list[float] = field(default_factory=list)  # of each event with text
    streamed: bool = False
    retry_after_s: float | None = None  # of `retry-after-ms` or `retry-after`

    @property
    def completion_tokens(self) -> int:
        """The completion tokens of the usage."""
        return int(self._usage()["completion_tokens"])

    @property
    def text(self) -> str:
        """The text of a response that is not streamed."""
        return str(json.loads(self.body)["choices"][0]["message"]["content"])

    def _usage(self) -> Any:
        if not self.streamed:
            return json.loads(self.body)["usage"]
        for event in reversed(self.body[-LAST_EVENTS:].split(b"\n\n")):
            if b'"usage"' in event:
                return json.loads(event.removeprefix(b"data: "))["usage"]
        raise ValueError("a stream without usage")


class Connection(asyncio.Protocol):
    """A keep-alive HTTP/1.1 connection with one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: TimedResponse | None = None
        self._done: asyncio.Future[None] | None = None
        self._parser: Any = None
        self._parts: list[bytes] = []
        self._partial = b""

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def post(self, url: str, body: bytes, api_key: str | None = None) -> TimedResponse:
        """Send `body` as JSON and return the response. Raises `ConnectionError`."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the connection is closed")
        parts = urlsplit(url)
        key = "" if api_key is None else f"authorization: Bearer {api_key}\r\n"
        head = (
            f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\n{key}"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._done = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._parts, self._partial = [], b""
        answer = self._answer = TimedResponse(time.perf_counter())
        self._transport.write(head.encode())
        self._transport.write(body)
        await self._done
        answer.body = b"".join(self._parts)
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast(
            asyncio.Transport, transport
        )  # uvloop's class does not derive from it

    def data_received(self, data: bytes) -> None:
        """Feed the HTTP parser."""
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request in flight."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError(f"the server hung up: {exc}"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Detect an event stream and the time to retry after."""
        if self._answer is None:
            return
        name = name.lower()
        if name == b"content-type":
            self._answer.streamed = value.startswith(b"text/event-stream")
        elif name == b"retry-after-ms":
            self._answer.retry_after_s = int(value) / MS
        elif name == b"retry-after" and self._answer.retry_after_s is None:
            self._answer.retry_after_s = float(value)

    def on_body(self, data: bytes) -> None:
        """Store a part of the body and the time of each event with text."""
        answer = self._answer
        if answer is None:
            return
        self._parts.append(data)
        if answer.streamed:
            now = time.perf_counter()
            complete, end, self._partial = (self._partial + data).rpartition(b"\n\n")
            answer.text_times += [now] * len(TEXT_EVENT.findall(complete + end))

    def on_message_complete(self) -> None:
        """Complete the response."""
        answer, self._answer = self._answer, None
        if answer is None or self._done is None or self._done.done():
            return
        answer.ended_at = time.perf_counter()
        answer.status = self._parser.get_status_code()
        if not self._parser.should_keep_alive():
            self.close()
        self._done.set_result(None)


async def connect(url: str) -> Connection:
    """Open a connection to the server of `url`."""
    parts = urlsplit(url)
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, parts.hostname or "", parts.port or HTTP_PORT
    )
    return connection
