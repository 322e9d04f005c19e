"""An error as an HTTP response in OpenAI's shape."""

from starlette.responses import JSONResponse

from server.errors import ApiError
from server.protocol.errors import build_error_body


def build_error_response(error: ApiError, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error as a response with its own status."""
    headers = {**error.headers, **(headers or {})}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    return JSONResponse(build_error_body(error), error.status, headers)
