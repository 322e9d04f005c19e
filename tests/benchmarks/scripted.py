"""A test server that answers with a script's exact bytes, write by write."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

# Yields the writes of a response to a body; raises `ConnectionError` to hang up.
Script = Callable[[bytes], AsyncIterator[bytes]]


@dataclass
class ReceivedRequests:
    """The requests that the server received."""

    url: str
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def serve_script(script: Script) -> AsyncIterator[ReceivedRequests]:
    """Serve on a free port until the block ends."""
    received = ReceivedRequests("")
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.connections += 1
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]  # it runs in one
        try:
            while True:
                async for part in script(await _read_request(reader, received)):
                    writer.write(part)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # one of the two has hung up
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    received.url = f"http://127.0.0.1:{port}/v1/chat/completions"
    try:
        yield received
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader, received: ReceivedRequests) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    body = await reader.readexactly(length)
    received.heads.append(head)
    received.bodies.append(body)
    return body


def build_response(text: str, tokens: int) -> bytes:
    """Build a non-streamed response, with its head."""
    return response(
        {
            "choices": [{"message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": tokens},
        }
    )


def response(content: Any, status: str = "200 OK") -> bytes:
    """Build a JSON response, with its head."""
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
STREAM_END = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    """Encode a chunk of a chunked body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(content: str | None, *, spaced: bool = False) -> bytes:
    """Build a chat completion event, with spaces as ours or compact as most encoders."""
    delta = {"delta": {} if content is None else {"content": content}, "index": 0}
    separators = (", ", ": ") if spaced else (",", ":")
    written = json.dumps({"id": "1", "choices": [delta]}, separators=separators)
    return f"data: {written}\n\n".encode()


def usage(tokens: int) -> bytes:
    """Build the last event, with the usage."""
    written = json.dumps({"choices": [], "usage": {"completion_tokens": tokens}})
    return f"data: {written}\n\n".encode()
