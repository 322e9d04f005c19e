"""An HTTP origin server for tests, on a free loopback port."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Responder = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Origin:
    """The server's URL, and the head of each request it received."""

    url: str = ""
    requests: list[str] = field(default_factory=list)


def build_response(status: str, body: bytes = b"", *headers: str) -> bytes:
    """Return a complete response that closes the connection."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def respond_with(data: bytes) -> Responder:
    """Return a responder that writes `data`."""

    async def respond(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return respond


@asynccontextmanager
async def serve_origin(
    responders: dict[str, Responder],
    *,
    host: str = "127.0.0.1",
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[Origin]:
    """Serve each path by its responder until the block ends, which cancels running responders."""
    server_state = Origin()
    running: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            server_state.requests.append(head)
            await responders[head.split(" ")[1]](reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left
        finally:
            writer.close()

    def start_handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(handle(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(start_handler, host, 0, ssl=ssl_context)
    port = server.sockets[0].getsockname()[1]
    server_state.url = f"{'https' if ssl_context else 'http'}://{host}:{port}"
    try:
        yield server_state
    finally:
        server.close()
        for task in list(running):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await server.wait_closed()
