"""A scripted OpenAI-compatible endpoint on a free loopback port."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """An HTTP response; `body` is sent unchanged."""

    status: int = 200
    body: str = ""
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """A received chat request; `at` is its time in seconds of the monotonic clock."""

    path: str
    headers: str
    body: dict[str, Any]
    at: float

    @property
    def prompt(self) -> str:
        content = self.body["messages"][-1]["content"]
        return str(content if isinstance(content, str) else content[-1]["text"])

    @property
    def image(self) -> str | None:
        content = self.body["messages"][-1]["content"]
        return None if isinstance(content, str) else str(content[0]["image_url"]["url"])


@dataclass
class ScriptedEndpoint:
    """The endpoint's URL, its requests and their concurrency; how often models were listed."""

    url: str = ""
    listed: int = 0
    requests: list[Request] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0


def completion_reply(text: str) -> Reply:
    """Build a completion with a text."""
    message = {"role": "assistant", "content": text}
    return Reply(body=json.dumps({"choices": [{"index": 0, "message": message}]}))


def error_reply(status: int, message: str, *headers: str) -> Reply:
    """Build an error in OpenAI's shape."""
    return Reply(status, json.dumps({"error": {"message": message}}), headers)


AnyReply = Reply | asyncio.Future[Reply]
AnswerFunction = Callable[[Request], AnyReply]


@asynccontextmanager
async def serve_script(
    answer: AnswerFunction, models: tuple[str, ...] = ("m",), listing: AnyReply | None = None
) -> AsyncIterator[ScriptedEndpoint]:
    """Serve until the block ends; a future as a reply may never complete.

    `listing` is the reply to `GET /models`, by default the list of `models`.
    """
    state = ScriptedEndpoint()
    listing = listing or Reply(body=json.dumps({"data": [{"id": name} for name in models]}))
    running: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.in_flight += 1
        state.most_in_flight = max(state.most_in_flight, state.in_flight)
        try:
            request = await _read(reader)
            if request.path.endswith("/models"):
                state.listed += 1
                answered = listing
            else:
                state.requests.append(request)
                answered = answer(request)
            reply = answered if isinstance(answered, Reply) else await answered
            writer.write(_written(reply))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left
        finally:
            state.in_flight -= 1
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(handle(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)
        # A task that is cancelled before it starts never reaches its `finally`.
        task.add_done_callback(lambda _: writer.close())

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**22)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield state
    finally:
        server.close()
        for task in list(running):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await server.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lengths = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
    body = await reader.readexactly(int(lengths[0].split(":")[1])) if lengths else b"{}"
    return Request(head.split(" ")[1], head, json.loads(body), time.monotonic())


def _written(reply: Reply) -> bytes:
    body = reply.body.encode()
    head = [f"HTTP/1.1 {reply.status} X", f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*head, *reply.headers]).encode() + b"\r\n\r\n" + body
