"""Exception handlers: every error of every path in OpenAI's shape."""

from typing import cast

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from server.api.allowed_methods import find_allowed_methods
from server.api.auth import get_tenant
from server.api.error_response import build_error_response
from server.api.runtime import Runtime
from server.errors import (
    INTERNAL_ERROR_MESSAGE,
    ApiError,
    ClientGone,
    InvalidRequest,
    KeyLimitExceeded,
    MethodNotAllowed,
    NotFound,
)
from server.protocol.suggestions import find_near
from server.protocol.text import cut
from server.telemetry.outcomes import CLIENT_CLOSED_REQUEST


def add_error_handlers(app: FastAPI) -> None:
    """Register handlers that give every exception, known or not, one shape."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(ClientGone, _client_gone)
    app.add_exception_handler(ClientDisconnect, _client_gone)
    app.add_exception_handler(Exception, _unknown_error)


async def _api_error(request: Request, error: Exception) -> Response:
    error = cast(ApiError, error)
    if isinstance(error, KeyLimitExceeded):
        runtime: Runtime = request.app.state.runtime
        await runtime.early_returns.delay(error, await get_tenant(request))
    return build_error_response(error)


async def _http_exception(request: Request, error: Exception) -> Response:
    """Translate the router's own refusals; answer OPTIONS, which no route has."""
    error = cast(HTTPException, error)
    path = request.url.path
    if error.status_code == 405:
        allow = {"allow": find_allowed_methods(request.app.routes, request.scope)}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        return build_error_response(
            MethodNotAllowed(f"{path} does not allow {request.method}."), allow
        )
    if error.status_code == 404:
        refusal: ApiError = NotFound(_describe_missing_path(request))
    else:
        refusal = InvalidRequest("The request cannot be read.")
    return build_error_response(refusal, dict(error.headers or {}))


def _describe_missing_path(request: Request) -> str:
    """Name the path and the probable one: `/v1` may be missing or doubled, or a word misspelt."""
    path = request.url.path
    paths = {getattr(route, "path", "{") for route in request.app.routes}
    paths = {each for each in paths if "{" not in each}  # what has names in it
    with_v1 = path.removeprefix("/v1") if path.startswith("/v1/v1/") else f"/v1{path}"
    if with_v1 in paths:
        return f"There is no {cut(path)}: use {with_v1}."
    near = find_near(path, paths) or find_near(with_v1, paths)
    return f"There is no {cut(path)}" + (f": did you mean {near}?" if near else ".")


async def _client_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _unknown_error(_: Request, __: Exception) -> Response:
    """Answer with a generic 500; the traceback goes to the log."""
    return build_error_response(ApiError(INTERNAL_ERROR_MESSAGE))
