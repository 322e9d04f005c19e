"""A server of a test's own that answers with exactly these bytes, write by write."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

# What to write in answer to a request's body; raises `ConnectionError` to hang up.
Script = Callable[[bytes], AsyncIterator[bytes]]


@dataclass
class Asked:
    """What a server was asked."""

    url: str
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[Asked]:
    """Serve on a free port until the block ends."""
    asked = Asked("")
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.connections += 1
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]  # it runs in one
        try:
            while True:
                async for part in script(await _read_request(reader, asked)):
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
    asked.url = f"http://127.0.0.1:{port}/v1/chat/completions"
    try:
        yield asked
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader, asked: Asked) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    body = await reader.readexactly(length)
    asked.heads.append(head)
    asked.bodies.append(body)
    return body


def whole(text: str, tokens: int) -> bytes:
    """An answer that is not streamed, with head."""
    return response(
        {
            "choices": [{"message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": tokens},
        }
    )


def response(content: Any, status: str = "200 OK") -> bytes:
    """Any JSON, with head."""
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
STREAM_END = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    """A chunk of a body of unknown length."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(content: str | None, *, spaced: bool = False) -> bytes:
    """A streamed piece of text, spelled as ours (spaced) or as most encoders do."""
    delta = {"delta": {} if content is None else {"content": content}, "index": 0}
    separators = (", ", ": ") if spaced else (",", ":")
    written = json.dumps({"id": "1", "choices": [delta]}, separators=separators)
    return f"data: {written}\n\n".encode()


def usage(tokens: int) -> bytes:
    """The event with the usage, after all text."""
    written = json.dumps({"choices": [], "usage": {"completion_tokens": tokens}})
    return f"data: {written}\n\n".encode()
