"""ASGI middleware that refuses web pages of other origins, and unknown `Host` names."""

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from server.api.auth import identify_client
from server.api.browsers.hosts import ANY, KnownHosts
from server.api.error_response import build_error_response
from server.api.scope import get_header, route_path
from server.errors import ApiError, ForbiddenHost, ForbiddenOrigin
from server.protocol.text import cut
from server.telemetry.refusals import RequestRefusals

DEFAULT_PORTS: Final = (("http", ":80"), ("https", ":443"))


class OriginCheck:
    """Refuses with 403 browsers' requests from pages of other origins.

    Other clients send no `Origin` and pass.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: KnownHosts,
        allowed_origins: Collection[str],
        refusals: RequestRefusals,
    ) -> None:
        self._app = app
        self._refusals = refusals
        self._hosts = hosts
        self._allowed_origins = allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except ApiError as error:
                self._refusals.add(error.code, route_path(scope), *identify_client(scope))
                await build_error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        host = get_header(scope, b"host")
        if host and not self._hosts.allows(host):
            raise ForbiddenHost(
                f"This server is not '{cut(host)}': ask it as localhost or by its address, or add"
                " the name to --allowed-hosts."
            )
        origin = get_header(scope, b"origin", None)
        if origin is not None and not (
            self._is_allowed(origin) or self._is_own(origin, Headers(scope=scope))
        ):
            raise ForbiddenOrigin(
                f"The origin '{cut(origin)}' may not use this server: add it to"
                " --cors-allow-origins."
            )

    def _is_allowed(self, origin: str) -> bool:
        return ANY in self._allowed_origins or origin.lower() in self._allowed_origins

    def _is_own(self, origin: str, headers: Headers) -> bool:
        """Whether the page is this server's own.

        A proxy may have changed `Host`. `X-Forwarded-Host` can be trusted here: before a page of
        another origin may send such a header, its browser must ask, and is refused.
        """
        scheme, _, authority = origin.lower().partition("://")
        if scheme not in ("http", "https") or not authority:
            return False
        own = [headers.get("host", ""), *headers.get("x-forwarded-host", "").split(",")]
        return (
            headers.get("sec-fetch-site") == "same-origin"
            or _drop_port(scheme, authority) in {_drop_port(scheme, name) for name in own}
            or (_has_default_port(scheme, authority) and self._hosts.names(authority))
        )


def _drop_port(scheme: str, authority: str) -> str:
    """Return an authority without its scheme's default port, as browsers write it."""
    authority = authority.strip().lower()
    for name, port in DEFAULT_PORTS:
        if scheme == name:
            authority = authority.removesuffix(port)
    return authority


def _has_default_port(scheme: str, authority: str) -> bool:
    """Whether an origin names no port: another port is another origin."""
    return ":" not in _drop_port(scheme, authority).rpartition("]")[2]
