"""The layers between uvicorn and the application, and uvicorn's protocol."""

from fastapi import FastAPI
from starlette.types import ASGIApp

from server.api.browsers.hosts import KnownHosts
from server.api.browsers.outermost import add_outermost
from server.api.edge.protocol import EdgeProtocol, build_protocol_class
from server.api.requests_in_flight import RequestsInFlight
from server.api.runtime import Runtime
from server.api.timelines import TimingOptions, add_timelines
from server.connection_limits import build_connection_limits
from server.settings import Settings
from server.telemetry.refusals import Refusals


def add_outer_layers(
    app: FastAPI, requests: RequestsInFlight, settings: Settings, hosts: KnownHosts
) -> ASGIApp:
    """Return the application for uvicorn: `app` in `requests`, in the outer layers."""
    runtime: Runtime = app.state.runtime
    origins = settings.cors_allow_origins
    timing = TimingOptions(runtime.tracing, settings.server_timing, origins)
    outermost = add_outermost(requests, hosts, origins, runtime.refusals)
    return add_timelines(outermost, app.routes, timing)


def build_protocol(settings: Settings, runtime: Runtime) -> type[EdgeProtocol]:
    """Return the protocol to give to uvicorn as `http`."""
    return build_protocol_class(
        build_connection_limits(settings),
        runtime.connections,
        Refusals(runtime.metrics.connections_refused, runtime.refusal_log),
        settings.cors_allow_origins,
    )
