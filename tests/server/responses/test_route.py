"""`/v1/responses` before the pipeline: API keys, and the model's loading."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from server.api.error_handlers import add_error_handlers
from server.api.middleware import RequestId
from server.api.routes import responses
from server.lifecycle import Lifecycle
from server.telemetry.metrics import Metrics
from tests.server.api.runtime import PassedGate, build_runtime
from tests.server.samples import sample

KEY = {"authorization": "Bearer key"}
BODY = {"model": "m", "input": "Hi"}


@pytest.fixture
async def guarded_client(metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of a server that has an API key and is still loading."""
    lifecycle = Lifecycle(1)
    app = FastAPI()
    app.state.runtime = build_runtime(lifecycle, metrics, ["key"])
    app.include_router(responses.router)
    add_error_handlers(app)
    app.add_middleware(PassedGate)
    app.add_middleware(RequestId)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("GET", "/resp_1"),
        ("DELETE", "/resp_1"),
        ("POST", "/resp_1/cancel"),
        ("GET", "/resp_1/input_items"),
    ],
)
async def test_routes_require_an_api_key(
    guarded_client: httpx.AsyncClient, method: str, path: str
) -> None:
    refused = await guarded_client.request(method, f"/v1/responses{path}", json=BODY)
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "invalid_api_key"
    allowed = await guarded_client.request(method, f"/v1/responses{path}", json=BODY, headers=KEY)
    assert allowed.status_code == (404 if path else 503)


async def test_a_refused_request_is_counted_by_its_code(
    guarded_client: httpx.AsyncClient, metrics: Metrics
) -> None:
    response = await guarded_client.post("/v1/responses", json=BODY, headers=KEY)
    assert response.headers["retry-after"] == "1"
    await guarded_client.post("/v1/responses", json={**BODY, "prompt": "p"}, headers=KEY)
    assert sample(metrics, "requests_total", outcome="not_ready") == 1
    assert sample(metrics, "requests_total", outcome="unsupported_parameter") == 1
    assert sample(metrics, "num_requests_waiting") == 0
