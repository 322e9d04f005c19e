"""Continues to parse after a request that offers an upgrade, as if it had offered none."""

from collections.abc import Sequence
from typing import Protocol

import httptools

from server.api.edge.head import FRAMING_HEADERS


class ParserCallbacks(Protocol):
    """Callbacks of httptools."""

    def on_message_begin(self) -> None: ...
    def on_url(self, url: bytes) -> None: ...
    def on_header(self, name: bytes, value: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_body(self, body: bytes) -> None: ...
    def on_message_complete(self) -> None: ...


class HeadlessCallbacks:
    """Passes callbacks on, except those for the synthetic head."""

    def __init__(self, callbacks: ParserCallbacks) -> None:
        self._callbacks = callbacks
        self._is_past_head = False
        self.on_body = callbacks.on_body
        self.on_message_complete = callbacks.on_message_complete

    def on_message_begin(self) -> None:
        """Pass on the beginning of a later request."""
        if self._is_past_head:
            self._callbacks.on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Pass on the target of a later request."""
        if self._is_past_head:
            self._callbacks.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Pass on a header of a later request, or a trailer."""
        if self._is_past_head:
            self._callbacks.on_header(name, value)

    def on_headers_complete(self) -> None:
        """The end of the synthetic head, or of a later one."""
        if self._is_past_head:
            self._callbacks.on_headers_complete()
        self._is_past_head = True


def build_request_parser(
    callbacks: ParserCallbacks | HeadlessCallbacks,
) -> httptools.HttpRequestParser:
    """Return a strict parser that ignores data after a request with `connection: close`."""
    parser = httptools.HttpRequestParser(callbacks)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def build_synthetic_head(headers: Sequence[tuple[bytes, bytes]], keep_alive: bool) -> bytes:
    """Return a head that has only the framing of `headers` and no upgrade."""
    lines = [name + b": " + value for name, value in headers if name in FRAMING_HEADERS]
    if not keep_alive:
        lines.append(b"connection: close")
    return b"\r\n".join([b"POST / HTTP/1.1", *lines, b"", b""])
