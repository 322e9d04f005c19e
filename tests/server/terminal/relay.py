"""A relay between the chat and the real server; it can answer requests itself."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.web import QuietHandler, serve_http

LONG = {"ignore_eos": True}


@dataclass(frozen=True)
class Reply:
    """A scripted response; a `truncated` one declares more bytes than it sends."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    truncated: bool = False


@dataclass
class Relay:
    """The relay's URL, the requests it received, and its scripted replies.

    Each of `replies` answers one request; other requests are relayed with `extra_fields`.
    """

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    affinities: list[str] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    extra_fields: dict[str, Any] = field(default_factory=dict)


def encode_events(*data: Any) -> bytes:
    """Encode server-sent events."""
    return b"".join(b"data: %s\n\n" % json.dumps(item).encode() for item in data)


def chunk(text: str, finish_reason: str | None = None) -> dict[str, Any]:
    """Return a chunk of a streamed completion."""
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish_reason}]}


def error_reply(status: int, message: str, **headers: str) -> Reply:
    """Return an error in OpenAI's shape."""
    error = {"message": message, "type": "server_error", "param": None, "code": "busy"}
    return Reply(json.dumps({"error": error}).encode(), status, tuple(headers.items()))


@contextmanager
def serve_relay(server_url: str) -> Iterator[Relay]:
    """Serve until the block ends."""
    state = Relay()

    class Handler(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - http.server's name
            state.keys.append(self.headers["authorization"])
            self._pass_on("GET", b"")

        def do_POST(self) -> None:  # noqa: N802 - http.server's name
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            state.requests.append(body)
            state.affinities.append(self.headers["x-llava-affinity"])
            with suppress(ConnectionError):  # the chat left
                if state.replies:
                    self._reply(state.replies.pop(0))
                else:
                    self._pass_on("POST", json.dumps(body | state.extra_fields).encode())

        def _reply(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(reply.body) + reply.truncated))
            self.end_headers()
            self.wfile.write(reply.body)

        def _pass_on(self, method: str, body: bytes) -> None:
            headers = {"content-type": "application/json"}
            url = f"{server_url}{self.path}"
            with httpx.stream(method, url, content=body, headers=headers, timeout=60) as real:
                self.send_response(real.status_code)
                self.end_headers()
                for data in real.iter_raw():
                    self.wfile.write(data)

    with serve_http(Handler) as state.url:
        yield state
