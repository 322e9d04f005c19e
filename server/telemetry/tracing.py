"""OpenTelemetry traces. Only `start_tracing` imports it, and only if traces are enabled."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from server import __version__
from server.telemetry.export_log import log_export_problems
from server.telemetry.logs import get_logger
from server.telemetry.timeline import (
    RequestContext,
    Timeline,
    enter_request_context,
    leave_request_context,
)
from server.telemetry.trace_position import TracePosition

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = get_logger(__name__)

NAME: Final = "llava-server"
HTTP: Final = "http/protobuf"
GRPC: Final = "grpc"
TRACES_PATH: Final = "/v1/traces"
# Seconds that exporting the last spans may take when the server exits.
FLUSH_TIMEOUT_S: Final = 2.0
ENDPOINT_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOL_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class Tracing:
    """Starts the traces of requests and exports them, in a thread and in batches."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(NAME, __version__)

    def start_request(
        self, name: str, headers: Mapping[str, str], attributes: Mapping[str, Any]
    ) -> TracePosition:
        """Start the span of a request, below the span in its `traceparent` header."""
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract(headers, Context())
        span = self._tracer.start_span(name, parent, SpanKind.SERVER, attributes)
        return TracePosition(self._tracer, span)

    @contextmanager
    def trace_start(self) -> Iterator[None]:
        """Trace the block, which includes the warm-up requests, as the server's start."""
        from opentelemetry.trace import use_span

        position = self.start_request("start", {}, {})
        token = enter_request_context(RequestContext(Timeline(), position))
        try:
            with use_span(position.span, record_exception=False):  # vLLM looks there
                yield
        finally:
            leave_request_context(token)
            position.end(None)

    def close(self, timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """Export the last spans within `timeout_s`: a dead collector must not delay the exit."""
        flush = Thread(target=self._provider.shutdown, name="trace-flush", daemon=True)
        flush.start()
        flush.join(timeout_s)


def start_tracing(endpoint: str | None) -> Tracing | None:
    """Return the tracing; None if neither `endpoint` nor the environment names a collector.

    `endpoint` is the collector's base URL. OpenTelemetry's own variables set the rest: sampling,
    headers, certificates, batches and the service's name.
    """
    if not _is_wanted(endpoint):
        return None
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    log_export_problems()
    exporter = _build_exporter(endpoint)
    provider = TracerProvider(resource=_describe_service(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    # vLLM takes this provider for its spans.
    trace.set_tracer_provider(provider)
    # vLLM in the engine's process would use this variable, too, but with another protocol.
    os.environ.pop(ENDPOINT_VARIABLES[0], None)
    return Tracing(provider)


def build_traces_url(endpoint: str) -> str:
    """Return the collector's URL for traces over HTTP from its base URL, or that URL itself."""
    base = endpoint.rstrip("/")
    return base if base.endswith(TRACES_PATH) else base + TRACES_PATH


def _is_wanted(endpoint: str | None) -> bool:
    environ = os.environ
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    return bool(endpoint or any(environ.get(name) for name in ENDPOINT_VARIABLES))


def _build_exporter(endpoint: str | None) -> Any:
    named = (os.environ.get(name, "").strip() for name in PROTOCOL_VARIABLES)
    protocol = next(filter(None, named), HTTP)
    if protocol not in (HTTP, GRPC):
        log.warning(
            "this protocol for traces is not supported: they are exported by http/protobuf",
            protocol=protocol,
        )
    if protocol == GRPC:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc

        return Grpc(endpoint)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint and build_traces_url(endpoint))


def _describe_service() -> Any:
    """Return the resource: our name and version, unless the environment says otherwise."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    ours = {"service.name": NAME, "service.version": __version__}
    return Resource.create({**ours, **OTELResourceDetector().detect().attributes})
