"""Normalises paths before anything depends on them, and answers HEAD wherever GET is allowed."""

import re
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.error_response import build_error_response
from server.api.scope import route_path
from server.errors import NotFound

SLASHES: Final = re.compile("//+")
# A route's pattern also matches a path with a line break at its end.
CONTROL_CHARACTERS: Final = re.compile("[\x00-\x1f\x7f]")


class RoutePath:
    """ASGI middleware that removes trailing and repeated slashes and refuses control characters.

    Every path that leads to a route then equals the route's own, without redirects. Behind
    `--root-path`, a proxy may strip the prefix or leave it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = route_path(scope)
        if CONTROL_CHARACTERS.search(path):
            error = NotFound("There is no such path: it holds control characters.")
            await build_error_response(error)(scope, receive, send)
            return
        root = scope.get("root_path", "")
        path = _cut_prefix(SLASHES.sub("/", path), root).rstrip("/") or "/"
        await self._app({**scope, "path": root + path}, receive, send)


def _cut_prefix(path: str, prefix: str) -> str:
    is_below = prefix and (path == prefix or path.startswith(f"{prefix}/"))
    return path[len(prefix) :] if is_below else path


class HeadAsGet:
    """ASGI middleware that answers HEAD as GET, less the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_head)
