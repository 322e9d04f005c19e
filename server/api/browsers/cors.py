"""CORS: which pages of other origins may read the server's responses."""

from collections.abc import Collection, Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from server.api.browsers.hosts import ANY
from server.api.rate_limits.resources import RATE_LIMIT_HEADERS

METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "POST")
EXPOSED_HEADERS: Final = (
    *("x-request-id", "request-id", "retry-after"),
    *("x-llava-affinity", "x-llava-image-notes", "x-llava-ignored-parameters", "server-timing"),
    *RATE_LIMIT_HEADERS,
)


def add_cors(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """Return the application with CORS for these origins; `*` is any."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=(ANY,),
        allow_private_network=True,
        expose_headers=EXPOSED_HEADERS,
    )


def build_cors_lines(
    origins: Collection[str], headers: Sequence[tuple[bytes, bytes]] | None
) -> bytes:
    """Return the header lines of a response that is written before the application runs.

    `headers` are those of the request that have arrived, if any.
    """
    sent = dict(headers or ()).get(b"origin", b"").decode("latin-1")
    if not (ANY in origins or sent.lower() in origins):
        return b""
    origin = ANY if ANY in origins else sent
    exposed = ", ".join(EXPOSED_HEADERS)
    return (
        f"access-control-allow-origin: {origin}\r\nvary: Origin\r\n"
        f"access-control-expose-headers: {exposed}\r\n"
    ).encode("latin-1")
