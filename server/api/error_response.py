"""An error as an HTTP response, in the shape of the API that the path belongs to."""

from typing import Any, Final

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from server.api.scope import route_path
from server.errors import ApiError
from server.protocol.errors import build_error_body
from server.protocol.messages.errors import build_messages_error

MESSAGES_PATH: Final = "/v1/messages"


class ErrorJsonResponse(JSONResponse):
    """An error in OpenAI's shape, or in Anthropic's on a path of Anthropic's API.

    The shape is chosen when the response is sent: code that raises need not know the path.
    """

    def __init__(self, error: ApiError, headers: dict[str, str]) -> None:
        super().__init__(build_error_body(error), error.status, headers)
        self._error = error
        self._own_headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        if not is_messages_path(scope):
            await super().__call__(scope, receive, send)
            return
        body = build_body(self._error, scope)
        await JSONResponse(body, self.status_code, self._own_headers)(scope, receive, send)


def build_error_response(error: ApiError, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error as a response with its own status."""
    headers = {**error.headers, **(headers or {})}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    return ErrorJsonResponse(error, headers)


def build_body(error: ApiError, scope: Scope) -> dict[str, Any]:
    """Return an error's body as JSON."""
    if not is_messages_path(scope):
        return build_error_body(error)
    request_id = scope.get("state", {}).get("request_id")
    return build_messages_error(error, request_id).model_dump()


def is_messages_path(scope: Scope) -> bool:
    """Whether a request belongs to Anthropic's API."""
    path = route_path(scope)
    return path == MESSAGES_PATH or path.startswith(f"{MESSAGES_PATH}/")
