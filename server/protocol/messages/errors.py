"""Errors in Anthropic's shape."""

from typing import Final, Literal

from pydantic import BaseModel

from server.errors import ApiError
from server.protocol.errors import MAX_MESSAGE_LENGTH
from server.protocol.text import cut

# By status; https://platform.claude.com/docs/en/api/errors has 529 where we have 503.
TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class MessagesError(BaseModel):
    """An error's type, and a message that names the field at fault."""

    type: str
    message: str


class MessagesErrorResponse(BaseModel):
    """The body of every error response below `/v1/messages`, and the event of a stream's error."""

    type: Literal["error"] = "error"
    error: MessagesError
    request_id: str | None


def build_messages_error(error: ApiError, request_id: str | None) -> MessagesErrorResponse:
    """Return an error in Anthropic's shape, which has no field for `param`."""
    message = error.message
    if error.param is not None and f"'{error.param}'" not in message:
        message = f"{error.param}: {message}"
    body = MessagesError(type=_get_type(error.status), message=cut(message, MAX_MESSAGE_LENGTH))
    return MessagesErrorResponse(error=body, request_id=request_id)


def _get_type(status: int) -> str:
    return TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
