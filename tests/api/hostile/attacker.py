"""A stranger's client: raw HTTP from an address of its own, which reads while it sends."""

import json
import select
import socket
import time
from dataclasses import dataclass
from typing import Any

# All of 127.0.0.0/8 is the loopback: the limits per address do not hit the polite client.
SOURCE = ("127.0.0.2", 0)
DEADLINE_S = 60
READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Response:
    """A response as it came; status 0 and an empty body where the connection just ended."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The error's code, or its type in Anthropic's shape; None without an error."""
        if self.status < 400:
            return None
        error = self.json()["error"]
        if self.json().get("type") == "error":
            return str(error["type"])
        assert set(error) == {"message", "type", "param", "code"}, error
        assert isinstance(error["message"], str)
        assert isinstance(error["type"], str)
        assert error["message"]
        code: str = error["code"]
        return code


NO_RESPONSE = Response(0, {}, b"")


class Attacker:
    """Opens connections to one server."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(self.address, DEADLINE_S, SOURCE)

    def request(
        self, path: str, body: bytes = b"", *headers: str, method: str = "POST"
    ) -> Response:
        """Send a request with Content-Length; return its response."""
        return self.exchange(build_head(path, len(body), *headers, method=method), body)

    def exchange(self, *data: bytes, deadline_s: float = DEADLINE_S) -> Response:
        """Send bytes on a new connection; return the first response, which may come early."""
        with self.connect() as connection:
            return parse_response(transfer(connection, *data, deadline_s=deadline_s))

    def post(self, path: str, body: Any) -> Response:
        """Send JSON, or bytes as they are."""
        return self.request(path, encode(body), "content-type: application/json")


def encode(body: Any) -> bytes:
    """Return a body's bytes."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def build_head(path: str, num_bytes: int, *headers: str, method: str = "POST") -> bytes:
    """Return the head of a request with Content-Length."""
    lines = [f"{method} {path} HTTP/1.1", "host: x", f"content-length: {num_bytes}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def transfer(connection: socket.socket, *data: bytes, deadline_s: float = DEADLINE_S) -> bytes:
    """Send bytes while reading; return what came up to the end of a response or connection."""
    deadline = time.monotonic() + deadline_s
    connection.setblocking(False)
    pending = [memoryview(each) for each in data if each]
    received = bytearray()
    while not _is_complete(received) and (left_s := deadline - time.monotonic()) > 0:
        senders = [connection] if pending else []
        readable, writable, _ = select.select([connection], senders, [], left_s)
        if readable:
            piece = _receive(connection)
            if not piece:
                break
            received += piece
        elif writable:
            _send(connection, pending)
    return bytes(received)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(READ_BYTES)
    except OSError:
        return b""


def _send(connection: socket.socket, pending: list[memoryview]) -> None:
    """Send a part of the first bytes; after an error what has arrived can still be read."""
    try:
        pending[0] = pending[0][connection.send(pending[0]) :]
    except OSError:
        pending.clear()
        return
    if not pending[0]:
        del pending[0]


def parse_response(data: bytes | bytearray) -> Response:
    """Return the first response of what a connection received."""
    head, separator, body = bytes(data).partition(b"\r\n\r\n")
    if not separator:
        return NO_RESPONSE
    lines = head.decode().split("\r\n")
    pairs = [line.partition(": ") for line in lines[1:]]
    headers = {name.lower(): value for name, _, value in pairs}
    length = headers.get("content-length")
    return Response(int(lines[0].split()[1]), headers, body[: int(length)] if length else body)


def _is_complete(received: bytearray) -> bool:
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    response = parse_response(head + separator)
    if "content-length" in response.headers:
        return len(body) >= int(response.headers["content-length"])
    return body.endswith(b"0\r\n\r\n")
