"""ASGI middleware around every route: the request id."""

import re
from secrets import token_hex
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.scope import get_header

REQUEST_ID_HEADER: Final = b"x-request-id"
# Anthropic's clients read it here.
ANTHROPIC_REQUEST_ID_HEADER: Final = b"request-id"
ACCEPTED_ID: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)


class RequestId:
    """Gives every request an id, the client's own if it sent a usable one, and returns it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = get_header(scope, REQUEST_ID_HEADER)
        request_id = sent if ACCEPTED_ID.fullmatch(sent) else token_hex(16)
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                value = request_id.encode()
                headers = (REQUEST_ID_HEADER, value), (ANTHROPIC_REQUEST_ID_HEADER, value)
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await self._app(scope, receive, send_with_id)
