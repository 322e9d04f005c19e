"""A collector of OpenTelemetry's traces over HTTP, for tests."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.web import QuietHandler, serve_http

GRPC_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


@dataclass(frozen=True)
class CollectedSpan:
    """A span as it arrived; ids are hexadecimal, times in seconds since 1970."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start: float
    end: float
    attributes: dict[str, Any]
    links: list[str]
    resource: dict[str, Any]
    is_failed: bool


@dataclass
class Collector:
    """What has arrived so far."""

    url: str = ""
    spans: list[CollectedSpan] = field(default_factory=list)
    arrival: Condition = field(default_factory=Condition)

    def wait_for_trace(self, trace_id: str, root: str, limit_s: float) -> list[CollectedSpan]:
        """Return a trace's spans once the one named `root` is there: it ends last."""
        deadline = time.monotonic() + limit_s
        with self.arrival:
            while True:
                found = [span for span in self.spans if span.trace_id == trace_id]
                if any(span.name == root for span in found):
                    return found
                left = deadline - time.monotonic()
                assert left > 0, f"no span {root!r} of {trace_id} among {self.spans}"
                self.arrival.wait(left)

    def take(self, body: bytes) -> None:
        """Keep the spans of one export."""
        spans = list(read_spans(body))
        with self.arrival:
            self.spans += spans
            self.arrival.notify_all()


def read_spans(body: bytes) -> Iterator[CollectedSpan]:
    """Yield the spans of an `ExportTraceServiceRequest`."""
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _read_attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield CollectedSpan(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano / 1e9,
                    span.end_time_unix_nano / 1e9,
                    _read_attributes(span.attributes),
                    [link.span_id.hex() for link in span.links],
                    resource,
                    span.status.code == span.status.STATUS_CODE_ERROR,
                )


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Collect traces on a free port."""
    collector = Collector()

    class Handler(QuietHandler):
        def do_POST(self) -> None:  # noqa: N802
            body = self.rfile.read(int(self.headers["content-length"]))
            is_traces = self.path == "/v1/traces"
            if is_traces:
                collector.take(body)
            self.send_response(200 if is_traces else 404)
            self.send_header("content-length", "0")
            self.end_headers()

    with serve_http(Handler) as url:
        collector.url = url
        yield collector


@contextmanager
def running_grpc_collector() -> Iterator[Collector]:
    """Collect traces by gRPC on a free port."""
    collector = Collector()

    def export(body: bytes, _: Any) -> bytes:
        collector.take(body)
        return b""  # an empty ExportTraceServiceResponse

    handlers = {"Export": grpc.unary_unary_rpc_method_handler(export)}
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(GRPC_SERVICE, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    collector.url = f"http://127.0.0.1:{port}"
    try:
        yield collector
    finally:
        server.stop(None).wait()


def _read_attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _read_value(pair.value) for pair in pairs}


def _read_value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")
