"""The layers around the whole application: ids, hosts and origins, and CORS."""

from collections.abc import Collection

from starlette.types import ASGIApp

from server.api.browsers.cors import add_cors
from server.api.browsers.hosts import KnownHosts
from server.api.browsers.origin_check import OriginCheck
from server.api.middleware import RequestId
from server.telemetry.refusals import RequestRefusals


def add_outermost(
    app: ASGIApp, hosts: KnownHosts, allowed_origins: Collection[str], refusals: RequestRefusals
) -> ASGIApp:
    """Return the application in these layers, so that every response has their headers."""
    if allowed_origins:
        app = add_cors(app, allowed_origins)
    return RequestId(OriginCheck(app, hosts, allowed_origins, refusals))
