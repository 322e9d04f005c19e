"""The edge's reasons to refuse or drop a connection, and the canned responses for them."""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Protocol

from server.errors import InvalidRequest, TooManyRequests, Unavailable
from server.protocol.errors import ErrorBody, ErrorResponse


class RefusalReason(StrEnum):
    """Values of the metric's label `reason`."""

    HEADER_BYTES = "header_bytes"
    HEADER_LINES = "header_lines"
    HEADER_TIMEOUT = "header_timeout"
    BODY_TIMEOUT = "body_timeout"
    WRITE_TIMEOUT = "write_timeout"
    CONNECTIONS = "connections"
    CONNECTIONS_PER_ADDRESS = "connections_per_address"
    SMALL_CHUNKS = "small_chunks"
    PIPELINED = "pipelined"
    BAD_REQUEST = "bad_request"


class EdgeObserver(Protocol):
    """Counts every refused or dropped connection."""

    def add(self, reason: str, client: str | None) -> None:
        """Count one; `reason` is a value of `RefusalReason`, `client` the address, if any."""


class Refused(Exception):
    """Raised in a callback of the parser: the request is refused."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.reason = reason


# A write timeout and too many pipelined requests close the connection without a response.
ResponseBytes = Mapping[RefusalReason, bytes]


def build_canned_responses(
    *, max_header_bytes: int, max_header_lines: int, retry_after_s: int
) -> ResponseBytes:
    """Return whole responses in OpenAI's error shape, each with `connection: close`."""
    headers_too_large = "headers_too_large"
    timeout = "request_timeout"
    return {
        RefusalReason.HEADER_BYTES: _invalid(
            431, headers_too_large, f"The headers exceed the limit of {max_header_bytes} bytes."
        ),
        RefusalReason.HEADER_LINES: _invalid(
            431, headers_too_large, f"The headers exceed the limit of {max_header_lines} lines."
        ),
        RefusalReason.HEADER_TIMEOUT: _invalid(408, timeout, "The headers came too slowly."),
        RefusalReason.BODY_TIMEOUT: _invalid(408, timeout, "The request body came too slowly."),
        RefusalReason.SMALL_CHUNKS: _invalid(
            InvalidRequest.status, InvalidRequest.code, "The request body has too many tiny chunks."
        ),
        RefusalReason.BAD_REQUEST: _invalid(
            InvalidRequest.status, InvalidRequest.code, "The request is not valid HTTP."
        ),
        RefusalReason.CONNECTIONS: _build_response(
            Unavailable.status,
            Unavailable.type,
            Unavailable.code,
            "The server is at its limit of connections.",
            retry_after_s,
        ),
        RefusalReason.CONNECTIONS_PER_ADDRESS: _build_response(
            TooManyRequests.status,
            TooManyRequests.type,
            TooManyRequests.code,
            "This client address is at its limit of connections.",
            retry_after_s,
        ),
    }


def _invalid(status: int, code: str, message: str) -> bytes:
    return _build_response(status, InvalidRequest.type, code, message)


def _build_response(
    status: int, kind: str, code: str, message: str, retry_after_s: int | None = None
) -> bytes:
    error = ErrorBody(message=message, type=kind, param=None, code=code)
    body = ErrorResponse(error=error).model_dump_json().encode()
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    if retry_after_s is not None:
        head.append(f"retry-after: {retry_after_s}")
    return "\r\n".join([*head, "", ""]).encode("ascii") + body
