"""Each request counts once, whatever its answer, but for those refused for want of capacity."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from server.api.gated_paths import GATED_PATHS, GENERATING_PATHS
from server.telemetry.metrics import Metrics
from tests.server.api.keyed_server import (
    BODIES,
    MAX_BODY_BYTES,
    KeyedServer,
    build_limited_key,
)
from tests.server.pictures import build_data_url
from tests.server.samples import sample

LIMIT = 100
KEY = build_limited_key(
    requests_per_minute=LIMIT, image_tokens_per_minute=10, output_tokens_per_minute=50
)
LARGE = b" " * (MAX_BODY_BYTES + 1)
AT_FAULT: dict[int, dict[str, Any]] = {
    400: {"content": b"{", "headers": {"content-type": "application/json"}},
    404: {"json": {"model": "another"}},
    413: {"content": LARGE},
    415: {"content": b"{}", "headers": {"content-type": "text/plain"}},
}
PICTURE = {"type": "image_url", "image_url": {"url": build_data_url(b"any")}}
PICTURED = {"messages": [{"role": "user", "content": [PICTURE]}]}


@pytest.fixture
async def server(metrics: Metrics) -> AsyncIterator[KeyedServer]:
    """Return the server."""
    server = KeyedServer(metrics, KEY)
    yield server
    server.runtime.refusal_log.flush()


async def chunks() -> AsyncIterator[bytes]:
    """Yield a body that is too large, without saying so first."""
    yield LARGE


def count(server: KeyedServer, response: httpx.Response) -> int:
    """Return the number of requests that count; headers and metrics must agree."""
    names = ("x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining")
    (headed,) = (LIMIT - int(response.headers[name]) for name in names if name in response.headers)
    assert sample(server.runtime.metrics, "key_requests_total", key="alice") == headed
    (state, *_) = server.limiter.states("alice")
    assert LIMIT - state.remaining == headed
    return headed


@pytest.mark.parametrize("status", AT_FAULT)
@pytest.mark.parametrize("path", GATED_PATHS)
async def test_a_request_that_is_at_fault_counts(
    server: KeyedServer, path: str, status: int
) -> None:
    request = AT_FAULT[status]
    if "json" in request:
        request = {"json": {**BODIES[path], **request["json"]}}
    for number in (1, 2):
        response = await server.send(path, **request)
        assert response.status_code == status, response.text
        assert count(server, response) == number


@pytest.mark.parametrize("path", GATED_PATHS)
async def test_a_body_that_turns_out_too_large_counts(server: KeyedServer, path: str) -> None:
    response = await server.send(path, content=chunks())
    assert (response.status_code, count(server, response)) == (413, 1)


@pytest.mark.parametrize("path", GATED_PATHS)
async def test_a_server_that_is_not_ready_counts_nothing(server: KeyedServer, path: str) -> None:
    loading = await server.send(path, json={"model": "m", **BODIES[path]})
    assert (loading.status_code, count(server, loading)) == (503, 0)  # it has no model
    server.lifecycle.drain()
    draining = await server.send(path, json={"model": "m", **BODIES[path]})
    assert (draining.status_code, count(server, draining)) == (503, 0)


@pytest.mark.parametrize("path", GATED_PATHS)
async def test_overload_counts_nothing(server: KeyedServer, path: str) -> None:
    tenant = server.runtime.authenticator.authenticate("Bearer secret").queue_key
    admission, metrics = server.runtime.admission, server.runtime.metrics
    metrics.keys.set_keys(["alice"])
    admission._max_waiting = 0
    with await admission.acquire(tenant):
        refused = await server.send(path, json={"model": "m", **BODIES[path]})
        assert (refused.status_code, count(server, refused)) == (429, 0)
        check, admission.check = admission.check, lambda *_: None  # type: ignore[method-assign]
        refused = await server.send(path, json={"model": "m", **BODIES[path]})  # once it is read
        assert (refused.status_code, count(server, refused)) == (429, 0)
        admission.check = check  # type: ignore[method-assign]
    assert sample(metrics, "key_overload_refusals_total", key="alice") == 2
    assert sample(metrics, "requests_total", outcome="rate_limit_exceeded") == 2


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/tokenize"])
async def test_images_that_a_limit_refuses_count_nothing(server: KeyedServer, path: str) -> None:
    refused = await server.send(path, json={"model": "m", **PICTURED})
    assert (refused.status_code, count(server, refused)) == (429, 0)
    assert "image tokens" in refused.text
    assert refused.headers["x-ratelimit-remaining-output-tokens"] == "50"


@pytest.mark.parametrize("path", GENERATING_PATHS)
async def test_output_tokens_that_a_limit_refuses_count_nothing(
    server: KeyedServer, path: str
) -> None:
    running = server.limiter.start(KEY, generates=True)
    running.reserve_output_tokens(50)
    running.take_back()
    refused = await server.send(path, json={"model": "m", **BODIES[path]})
    assert (refused.status_code, count(server, refused)) == (429, 0)
    assert "have reserved what is left of its 50 output tokens a minute" in refused.text
    assert not server.limiter._usages["alice"]._running._started.keys() - {running}
