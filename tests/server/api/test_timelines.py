"""What the outermost middleware tells of a request's times."""

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.types import ASGIApp

from server.api.timelines import TimingOptions, add_timelines
from server.telemetry.metrics import Metrics
from server.telemetry.timeline import get_request_context
from server.telemetry.tracing import Tracing

ORIGIN = "https://app.example.com"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def build_app(options: TimingOptions) -> ASGIApp:
    app = FastAPI(openapi_url=None)

    @app.get("/health")
    @app.get("/things/{number}")
    async def read(number: int = 200) -> PlainTextResponse:
        with Metrics().stage("prompt"):
            return PlainTextResponse("", number)

    @app.get("/broken")
    async def fail() -> None:
        raise LookupError("secret")

    return add_timelines(app, app.routes, options)


def build_tracing(exporter: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider)


async def ask(app: ASGIApp, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return await client.get(path, headers=headers)


async def test_a_request_s_span(exporter: InMemorySpanExporter) -> None:
    app = build_app(TimingOptions(build_tracing(exporter), server_timing=False))
    response = await ask(app, "/things/201", traceparent=TRACEPARENT)
    assert "server-timing" not in response.headers
    stage, root = exporter.get_finished_spans()
    assert (stage.name, stage.parent) == ("prompt", root.context)
    assert root.name == "GET /things/{number}"
    assert root.parent is not None
    assert f"{root.parent.trace_id:032x}" in TRACEPARENT
    assert root.attributes is not None
    assert (
        root.attributes.items()
        >= {
            "http.request.method": "GET",
            "http.route": "/things/{number}",
            "http.response.status_code": 201,
            "url.path": "/things/201",
            "url.scheme": "http",
            "client.address": "127.0.0.1",
        }.items()
    )
    assert "error.type" not in root.attributes
    assert get_request_context() is None


@pytest.mark.parametrize(
    "parents", [(TRACEPARENT, TRACEPARENT), (f"{TRACEPARENT}-x",), ("",), (TRACEPARENT.upper(),)]
)
async def test_an_unusable_traceparent_starts_a_trace(
    parents: tuple[str, ...], exporter: InMemorySpanExporter
) -> None:
    app = build_app(TimingOptions(build_tracing(exporter), server_timing=False))
    headers = [("traceparent", parent) for parent in parents]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://x", headers=headers
    ) as client:
        await client.get("/things/200")
    [*_, root] = exporter.get_finished_spans()
    assert root.parent is None
    assert root.context is not None
    assert f"{root.context.trace_id:032x}" not in TRACEPARENT


@pytest.mark.parametrize(
    ("path", "name", "failed"),
    [
        ("/things/404", "GET /things/{number}", False),
        ("/things/503", "GET /things/{number}", True),
        ("/nowhere", "GET", False),
        ("/broken", "GET /broken", True),
    ],
)
async def test_only_what_the_server_did_wrong_is_a_failure(
    path: str, name: str, failed: bool, exporter: InMemorySpanExporter
) -> None:
    response = await ask(
        build_app(TimingOptions(build_tracing(exporter), server_timing=False)), path
    )
    root = exporter.get_finished_spans()[-1]
    assert root.name == name
    assert root.attributes is not None
    assert root.attributes["http.response.status_code"] == response.status_code
    assert ("error.type" in root.attributes) is failed
    assert "secret" not in root.to_json()


async def test_probes_have_no_span(exporter: InMemorySpanExporter) -> None:
    app = build_app(TimingOptions(build_tracing(exporter), server_timing=True))
    assert "server-timing" not in (await ask(app, "/health")).headers
    assert exporter.get_finished_spans() == ()


async def test_server_timing_for_allowed_pages(exporter: InMemorySpanExporter) -> None:
    app = build_app(TimingOptions(build_tracing(exporter), True, (ORIGIN,)))
    response = await ask(app, "/things/200", origin=ORIGIN)
    stages = response.headers["server-timing"].split(", ")
    assert [stage.partition(";")[0] for stage in stages] == ["prompt", "total", "traceparent"]
    [*_, root] = exporter.get_finished_spans()
    assert root.context is not None
    assert f"{root.context.trace_id:032x}-{root.context.span_id:016x}-01" in stages[-1]
    assert response.headers["timing-allow-origin"] == ORIGIN
    response = await ask(app, "/things/200", origin="https://other.example.com")
    assert "timing-allow-origin" not in response.headers


async def test_server_timing_for_all_pages_names_none_of_them() -> None:
    app = build_app(TimingOptions(None, server_timing=True, allowed_origins=("*",)))
    assert (await ask(app, "/things/200", origin=ORIGIN)).headers["timing-allow-origin"] == "*"
    assert "timing-allow-origin" not in (await ask(app, "/things/200")).headers


async def test_without_tracing_server_timing_has_no_trace() -> None:
    response = await ask(build_app(TimingOptions(None, server_timing=True)), "/things/200")
    assert "traceparent" not in response.headers["server-timing"]


def test_nobody_asks_nothing_is_added() -> None:
    async def app(*_: object) -> None: ...

    assert add_timelines(app, (), TimingOptions(None, server_timing=False)) is app
