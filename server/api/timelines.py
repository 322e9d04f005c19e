"""ASGI middleware that times each request: `Server-Timing`, and the span of its trace."""

from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.browsers.hosts import ANY
from server.api.key_required import PROBE_PATHS
from server.api.scope import get_header, route_path
from server.telemetry.server_timing import format_server_timing
from server.telemetry.timeline import (
    RequestContext,
    Timeline,
    enter_request_context,
    leave_request_context,
)
from server.telemetry.trace_position import TracePosition
from server.telemetry.traceparent import read_trace_headers
from server.telemetry.tracing import Tracing

# Orchestrators and Prometheus request these every few seconds.
UNTRACED_PATHS: Final = (*PROBE_PATHS, "/metrics")
# Others are `_OTHER`, as OpenTelemetry wants it.
METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
MAX_ATTRIBUTE_CHARS: Final = 256


@dataclass(frozen=True, slots=True)
class TimingOptions:
    """Who gets a request's times: its client, pages of these origins, and `tracing`."""

    tracing: Tracing | None
    server_timing: bool
    allowed_origins: Collection[str] = ()


class Timelines:
    """Outermost ASGI middleware that gives each request its `RequestContext`."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], options: TimingOptions) -> None:
        self._app = app
        self._routes = routes
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or route_path(scope) in UNTRACED_PATHS:
            await self._app(scope, receive, send)
            return
        context = RequestContext(Timeline(), self._start_trace(scope))
        status: int | None = None

        def send_timed(message: Message) -> Awaitable[None]:
            # No coroutine of its own: it is called for each token.
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._options.server_timing:
                    message["headers"] = [*message["headers"], *self._build_headers(scope, context)]
            return send(message)

        token = enter_request_context(context)
        error: BaseException | None = None
        try:
            await self._app(scope, receive, send_timed)
        except BaseException as caught:
            error = caught
            raise
        finally:
            leave_request_context(token)
            if context.trace is not None:
                _end(context.trace, status, error)

    def _start_trace(self, scope: Scope) -> TracePosition | None:
        if self._options.tracing is None:
            return None
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        route = self._find_route(scope)
        return self._options.tracing.start_request(
            f"{method} {route}" if route else method,
            read_trace_headers(scope["headers"]),
            _describe(scope, method) | ({"http.route": route} if route else {}),
        )

    def _find_route(self, scope: Scope) -> str | None:
        """Return the route pattern of the request's path, None for an unknown path."""
        path = scope.get("root_path", "") + (route_path(scope).rstrip("/") or "/")
        for route in self._routes:
            if route.matches({**scope, "path": path})[0] is not Match.NONE:
                return getattr(route, "path", None)
        return None

    def _build_headers(self, scope: Scope, context: RequestContext) -> list[tuple[bytes, bytes]]:
        """Return `Server-Timing`, and the header that lets a page of an allowed origin read it."""
        headers = [(b"server-timing", format_server_timing(context).encode())]
        origin = get_header(scope, b"origin")
        origins = self._options.allowed_origins
        if origin and ANY in origins:
            headers.append((b"timing-allow-origin", ANY.encode()))
        elif origin.lower() in origins:
            headers.append((b"timing-allow-origin", origin.encode("latin-1")))
        return headers


def add_timelines(app: ASGIApp, routes: Sequence[BaseRoute], options: TimingOptions) -> ASGIApp:
    """Return the application with timelines, or unchanged if nobody wants times."""
    is_wanted = options.tracing is not None or options.server_timing
    return Timelines(app, routes, options) if is_wanted else app


def _describe(scope: Scope, method: str) -> dict[str, Any]:
    """Return the request's attributes, by OpenTelemetry's conventions for HTTP servers."""
    client = scope["client"]
    attributes = {
        "http.request.method": method,
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
        "user_agent.original": get_header(scope, b"user-agent", None),
        "client.address": client[0] if client else None,
    }
    return {
        name: value[:MAX_ATTRIBUTE_CHARS] for name, value in attributes.items() if value is not None
    }


def _end(trace: TracePosition, status: int | None, error: BaseException | None) -> None:
    """End a request's span. By the conventions, a client's mistake is not a failure."""
    if status is not None:
        trace.span.set_attribute("http.response.status_code", status)
        if status >= 500:
            # The error's code is better, if the request's record has set it.
            attributes = getattr(trace.span, "attributes", None) or {}
            trace.mark_failed(attributes.get("error.type", str(status)))
    trace.end(error if status is None else None)
