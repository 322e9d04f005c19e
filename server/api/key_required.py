"""`--protect-all`: every path except the probes' needs a key."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from server.api.auth import Authenticator, identify_client
from server.api.error_response import build_error_response
from server.api.scope import route_path
from server.errors import Unauthorized
from server.telemetry.refusals import RequestRefusals

METRICS_PATH: Final = "/metrics"
# Probes of orchestrators and load balancers send no key.
PROBE_PATHS: Final = ("/health", "/startup", "/ready")
# These, and the files of `/page` and `/docs`, need a key only with `--protect-all`.
OPEN_PATHS: Final = ("/", "/page", "/docs", "/openapi.json", METRICS_PATH, "/version")


def list_open_paths(*, protect_all: bool, has_admin_port: bool) -> list[str]:
    """Return the paths that need no key; with an admin port, `/metrics` is not among them."""
    paths = PROBE_PATHS if protect_all else (*PROBE_PATHS, *OPEN_PATHS)
    return [path for path in paths if not (has_admin_port and path == METRICS_PATH)]


class KeyRequired:
    """ASGI middleware that requires a key on every path except the probes'."""

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, refusals: RequestRefusals
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and route_path(scope) not in PROBE_PATHS:
            try:
                self._authenticator.authenticate_scope(scope)
            except Unauthorized as error:
                self._refusals.add(error.outcome, route_path(scope), *identify_client(scope))
                await build_error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)
