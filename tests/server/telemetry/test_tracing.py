"""Tracing: when it is on, what a collector gets, and what a collector that is down costs."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.util._once import Once
from structlog.testing import capture_logs

from server import __version__
from server.telemetry.stages import Span
from server.telemetry.timeline import (
    RequestContext,
    Timeline,
    enter_request_context,
    leave_request_context,
)
from server.telemetry.tracing import Tracing, build_traces_url, start_tracing
from tests.otlp import running_collector, running_grpc_collector

VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without any of OpenTelemetry's settings, and without its global provider."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())


@pytest.fixture
def black_hole() -> Iterator[str]:
    """Return the URL of a collector that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def trace_request(tracing: Tracing | None) -> str:
    """Record a request with one stage, and return the trace's id."""
    assert tracing is not None
    position = tracing.start_request("POST /x", {}, {"url.path": "/x"})
    token = enter_request_context(RequestContext(Timeline(), position))
    with Span("load"):
        pass
    leave_request_context(token)
    position.end(None)
    return position.trace_id


def test_it_is_off_unless_a_collector_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert start_tracing(None) is None
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert start_tracing("http://localhost:4318") is None
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    assert start_tracing("http://localhost:4318") is None


def test_off_imports_nothing_of_it() -> None:
    program = (
        "import sys, server.api.timelines, server.telemetry.request_record;"
        "server.telemetry.tracing.start_tracing(None);"
        "print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environ
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("endpoint", ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"])
def test_a_collector_is_named_by_its_base_or_by_the_path_of_traces(endpoint: str) -> None:
    assert build_traces_url(endpoint) == "http://c:4318/v1/traces"


@pytest.mark.parametrize("variable", [None, *VARIABLES])
def test_a_collector_gets_the_spans(variable: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_collector() as collector:
        if variable is not None:
            path = "/v1/traces" if "TRACES" in variable else ""
            monkeypatch.setenv(variable, collector.url + path)
        tracing = start_tracing(None if variable else collector.url)
        trace_id = trace_request(tracing)
        assert tracing is not None
        tracing.close()
        load, root = collector.wait_for_trace(trace_id, "POST /x", 5)
    assert (root.name, root.parent_id) == ("POST /x", "")
    assert root.attributes == {"url.path": "/x"}
    assert (load.name, load.parent_id) == ("load", root.span_id)
    assert root.resource["service.name"] == "llava-server"
    assert root.resource["service.version"] == __version__
    # The engine's process would take it for its own.
    assert VARIABLES[1] not in os.environ


@pytest.mark.parametrize("protocol", ["grpc", "http/json"])
def test_the_protocol_may_be_grpc(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    running = running_grpc_collector if protocol == "grpc" else running_collector
    with running() as collector, capture_logs() as lines:
        tracing = start_tracing(collector.url)
        trace_id = trace_request(tracing)
        assert tracing is not None
        tracing.close()
        assert len(collector.wait_for_trace(trace_id, "POST /x", 5)) == 2
    assert [line["protocol"] for line in lines] == [protocol] * (protocol != "grpc")


def test_the_environment_may_name_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "pictures")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    with running_collector() as collector:
        tracing = start_tracing(collector.url)
        trace_id = trace_request(tracing)
        assert tracing is not None
        tracing.close()
        [span, _] = collector.wait_for_trace(trace_id, "POST /x", 5)
    assert span.resource["service.name"] == "pictures"
    assert span.resource["deployment.environment.name"] == "test"


def test_a_ratio_samples_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    with running_collector() as collector:
        tracing = start_tracing(collector.url)
        trace_request(tracing)
        assert tracing is not None
        tracing.close()
        assert collector.spans == []


def test_a_collector_that_never_answers_stalls_neither_requests_nor_the_exit(
    black_hole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    tracing = start_tracing(black_hole)
    assert tracing is not None
    began = time.perf_counter()
    for _ in range(3000):  # more than the queue takes
        trace_request(tracing)
    assert time.perf_counter() - began < 10
    began = time.perf_counter()
    tracing.close(timeout_s=0.5)
    assert time.perf_counter() - began < 5
