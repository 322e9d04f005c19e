"""`/v1/messages` before the pipeline: keys, and every error in Anthropic's shape."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from server.api.early_returns import EarlyReturns
from server.api.error_handlers import add_error_handlers
from server.api.gate import Gate
from server.api.middleware import RequestId
from server.api.routes import chat, messages
from server.errors import ApiError, ClientTooSlow, DeadlineExceeded, ImageCorrupt
from server.lifecycle import Lifecycle
from server.protocol.messages.errors import MessagesErrorResponse, build_messages_error
from server.telemetry.metrics import Metrics
from server.telemetry.refusal_log import RefusalLog
from server.telemetry.refusals import RequestRefusals
from tests.server.api.runtime import build_key_guard, build_runtime

PATHS = ("/v1/messages", "/v1/messages/count_tokens")
KEY = {"x-api-key": "key", "anthropic-version": "2023-06-01", "anthropic-beta": "x"}
BODY = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def lifecycle() -> Lifecycle:
    """Return the lifecycle of a server that is ready, but has no model."""
    lifecycle = Lifecycle(1)
    lifecycle.mark_ready()
    return lifecycle


@pytest.fixture
async def guarded(metrics: Metrics, lifecycle: Lifecycle) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of a server that has an API key."""
    app = FastAPI()
    runtime = app.state.runtime = build_runtime(lifecycle, metrics, ["key"])
    for routes in (chat, messages):
        app.include_router(routes.router)
    add_error_handlers(app)
    app.add_middleware(
        Gate,
        paths=PATHS,
        authenticator=runtime.authenticator,
        keys=build_key_guard(metrics),
        admission=runtime.admission,
        max_body_bytes=1000,
        refusals=RequestRefusals(metrics, RefusalLog()),
        early_returns=EarlyReturns(),
    )
    app.add_middleware(RequestId)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


def error_of(response: httpx.Response) -> tuple[int, str, str]:
    """Return status, type and message of an error, which has Anthropic's shape."""
    body: dict[str, Any] = response.json()
    MessagesErrorResponse.model_validate(body, extra="forbid")
    assert body["request_id"] == response.headers["request-id"]
    assert response.headers["request-id"] == response.headers["x-request-id"]
    return response.status_code, body["error"]["type"], body["error"]["message"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_key_may_come_in_either_header(guarded: httpx.AsyncClient, path: str) -> None:
    for headers in ({}, {"x-api-key": "no"}, {"authorization": "Bearer no"}):
        refused = await guarded.post(path, json=BODY, headers=headers)
        assert error_of(refused)[:2] == (401, "authentication_error")
    for headers in (KEY, {"authorization": "Bearer key"}, {**KEY, "authorization": "Basic x"}):
        let_in = await guarded.post(path, json=BODY, headers=headers)
        assert error_of(let_in)[:2] == (503, "overloaded_error")


@pytest.mark.parametrize("path", PATHS)
async def test_refusals_before_the_body(
    guarded: httpx.AsyncClient, path: str, lifecycle: Lifecycle
) -> None:
    large = await guarded.post(path, content=b"x" * 2000, headers=KEY)
    assert error_of(large)[:2] == (413, "request_too_large")
    lifecycle.drain()
    draining = await guarded.post(path, json=BODY, headers=KEY)
    assert error_of(draining)[:2] == (503, "overloaded_error")
    assert draining.headers["retry-after"] == "1"


async def test_a_full_server(guarded: httpx.AsyncClient) -> None:
    runtime = guarded._transport.app.state.runtime  # type: ignore[attr-defined]
    runtime.admission._max_waiting = 0
    tenant = runtime.authenticator.authenticate(None, None, "key").queue_key
    with await runtime.admission.acquire(tenant):
        response = await guarded.post("/v1/messages", json=BODY, headers=KEY)
    assert error_of(response)[:2] == (429, "rate_limit_error")
    assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize("path", PATHS)
async def test_bad_bodies_name_the_field(guarded: httpx.AsyncClient, path: str) -> None:
    for body, field in ((b"{", "JSON"), (b'{"model": "m"}', "messages")):
        refused = await guarded.post(path, content=body, headers=KEY)
        status, kind, message = error_of(refused)
        assert (status, kind) == (400, "invalid_request_error")
        assert field in message


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("POST", "/v1/messages/batches", 404, "not_found_error"),
    ],
)
async def test_errors_of_the_router(
    guarded: httpx.AsyncClient, method: str, path: str, status: int, kind: str
) -> None:
    response = await guarded.request(method, path, headers=KEY)
    assert error_of(response)[:2] == (status, kind)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messagesx"])
async def test_other_paths_keep_openai_s_shape(guarded: httpx.AsyncClient, path: str) -> None:
    response = await guarded.post(path, json=BODY)
    assert set(response.json()) == {"error"}
    assert "code" in response.json()["error"]


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ImageCorrupt("Broken.", "a.b"), "invalid_request_error", "a.b: Broken."),
        (ImageCorrupt("Broken ('a').", "a"), "invalid_request_error", "Broken ('a')."),
        (DeadlineExceeded("Late."), "timeout_error", "Late."),
        (ClientTooSlow("Slow."), "timeout_error", "Slow."),
        (ApiError("Oh."), "api_error", "Oh."),
    ],
)
def test_types_and_messages(error: ApiError, kind: str, message: str) -> None:
    built = build_messages_error(error, None).error
    assert (built.type, built.message) == (kind, message)
