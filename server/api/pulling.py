"""The application of a server whose model is still being pulled: probes, and 503 for the rest."""

from collections.abc import Callable
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from server.api.error_response import build_error_response
from server.api.route_path import RoutePath
from server.api.scope import route_path
from server.errors import NotReady
from server.lifecycle import State

LIVE_PATH: Final = "/health"
READY_PATHS: Final = ("/startup", "/ready")
# Seconds until a client should retry; a pull takes minutes.
RETRY_AFTER_S: Final = 30


def build_pulling_app(describe: Callable[[], str]) -> ASGIApp:
    """Build the application; `describe` names the model and the progress of the pull."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await _respond(route_path(scope), describe())(scope, receive, send)

    return RoutePath(app)


def _respond(path: str, reason: str) -> JSONResponse:
    if path == LIVE_PATH:
        return JSONResponse({"status": "alive"})
    if path in READY_PATHS:
        return JSONResponse({"status": State.LOADING, "reason": reason}, 503)
    return build_error_response(NotReady(f"The server is {reason}.", retry_after=RETRY_AFTER_S))
