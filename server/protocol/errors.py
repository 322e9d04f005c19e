"""Errors in OpenAI's shape."""

from typing import Any

from pydantic import BaseModel

from server.errors import ApiError


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
    """Return an error in OpenAI's shape."""
    body = ErrorBody(message=error.message, type=error.type, param=error.param, code=error.code)
    return ErrorResponse(error=body).model_dump()
