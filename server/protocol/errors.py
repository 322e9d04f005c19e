"""Errors in OpenAI's shape."""

from typing import Any, Final

from pydantic import BaseModel

from server.errors import ApiError
from server.protocol.text import cut

# Messages quote paths and names that clients made up.
MAX_MESSAGE_LENGTH: Final = 1000


class ErrorBody(BaseModel):
    """An error's message, type and field, and a stable code for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    """The body of every error response."""

    error: ErrorBody


def build_error_body(error: ApiError) -> dict[str, Any]:
    """Return an error in OpenAI's shape, its message cut to `MAX_MESSAGE_LENGTH`."""
    message = cut(error.message, MAX_MESSAGE_LENGTH)
    body = ErrorBody(message=message, type=error.type, param=error.param, code=error.code)
    return ErrorResponse(error=body).model_dump()
