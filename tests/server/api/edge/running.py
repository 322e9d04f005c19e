"""A real uvicorn with the edge's protocol, a small application, and raw clients."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import Receive, Scope, Send

from server.api.edge.limits import ConnectionLimits, ConnectionTable
from server.api.edge.protocol import build_protocol_class

DEADLINE_S = 10.0
CHUNK = b"x" * 65536


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll until `condition` holds; fail after a while."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.002)


@dataclass
class App:
    """The paths say what it does with a request."""

    requests: list[tuple[str, dict[bytes, bytes], bytes]] = field(default_factory=list)
    disconnects: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.started.append(path)
        if path == "/early":
            await self._respond(send, 401, b"early")
        elif path == "/stream":
            await self._stream(receive, send)
        elif path == "/unsized":
            await self._respond(send, 200, b"un", b"sized")
        else:
            if path == "/later":
                await asyncio.to_thread(self.go.wait)
            await self._echo(scope, receive, send)

    async def _echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnects.append(scope["path"])
                return
            body += message["body"]
            if not message["more_body"]:
                break
        self.requests.append((scope["path"], dict(scope["headers"]), body))
        if scope["path"] == "/wait" and await self._has_left(receive):
            self.disconnects.append(scope["path"])
            return
        await self._respond(send, 200, body, is_sized=True)

    async def _has_left(self, receive: Receive) -> bool:
        """Wait for `go`, or for the client to leave; then return True."""
        going = asyncio.create_task(asyncio.to_thread(self.go.wait))
        leaving = asyncio.ensure_future(receive())
        await asyncio.wait([going, leaving], return_when=asyncio.FIRST_COMPLETED)
        has_left = leaving.done()
        leaving.cancel()
        self.go.set()
        await going
        return has_left

    async def _respond(
        self, send: Send, status: int, *pieces: bytes, is_sized: bool = False
    ) -> None:
        headers = []
        if is_sized:
            headers.append((b"content-length", str(sum(map(len, pieces))).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream(self, receive: Receive, send: Send) -> None:
        """Send 16 MiB, or until the client leaves."""
        await receive()
        leaving = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(256):
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            if leaving.done():
                self.disconnects.append("/stream")
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        leaving.cancel()


@dataclass
class Response:
    """One response as read by a client."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        connection.settimeout(DEADLINE_S)
        self.file: BufferedReader = connection.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.file.close()
        self.socket.close()

    def send(self, *data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(b"".join(data))

    def request(self, path: str, body: bytes = b"", *headers: str) -> Response:
        """Send a request with Content-Length and read its response."""
        self.send(build_request(path, body, *headers))
        return self.read_response()

    def read_response(self) -> Response:
        """Read one response."""
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        if "content-length" in headers:
            body = self.file.read(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = self._read_chunks()
        else:
            body = self.file.read()
        return Response(status, headers, body)

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.file.readline(), 16):
            body += self.file.read(size)
            self.file.readline()
        self.file.readline()
        return body

    def is_ended(self) -> bool:
        """Whether the server has ended the connection, after everything was read."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True


@dataclass
class RunningEdge:
    """A server, its counts and its application."""

    address: tuple[str, int] | str
    app: App
    table: ConnectionTable
    refusals: list[str]
    refused: set[str | None] = field(default_factory=set)

    def add(self, reason: str, client: str | None) -> None:
        """Count a refusal, as the observer."""
        self.refusals.append(reason)
        self.refused.add(client)

    def connect(self) -> Client:
        """Open a connection."""
        if isinstance(self.address, str):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(self.address)
            return Client(connection)
        return Client(socket.create_connection(self.address))


def build_request(path: str, body: bytes = b"", *headers: str) -> bytes:
    """Return a POST with Content-Length."""
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def running_edge(
    unix_path: Path | None = None,
    *,
    cors_allow_origins: tuple[str, ...] = (),
    tls: dict[str, Any] | None = None,
    **limits: float,
) -> Iterator[RunningEdge]:
    """Serve with these limits, checked every 20 ms."""
    options: dict[str, Any] = {"sweep_interval_s": 0.02, **limits}
    bounds = ConnectionLimits(**options)
    with _listen(unix_path) as listener:
        table = ConnectionTable(bounds)
        edge = RunningEdge(listener.getsockname(), App(), table, [])
        config = uvicorn.Config(
            edge.app,
            http=build_protocol_class(bounds, table, edge, cors_allow_origins),
            loop="uvloop",
            ws="none",
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=1,
            **(tls or {}),
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield edge
        finally:
            edge.app.go.set()
            server.should_exit = True
            thread.join()
    assert table.open_connections == 0
    assert table.lingering_connections == 0


def _listen(unix_path: Path | None) -> socket.socket:
    if unix_path is None:
        return socket.create_server(("127.0.0.1", 0))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(unix_path))
    return listener
