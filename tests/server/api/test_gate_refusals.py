"""The gate refuses by key, size and load before a body is read."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from server.api.admission.admission import Admission
from server.api.admission.cost import Cost
from server.api.auth import Authenticator
from server.api.early_returns import EarlyReturns
from server.api.gate import Gate
from server.keys.key_ring import KeyRing
from server.lifecycle import Lifecycle
from server.telemetry.metrics import Metrics
from server.telemetry.refusal_log import RefusalLog
from server.telemetry.refusals import RequestRefusals
from tests.server.api.runtime import build_key_guard
from tests.server.samples import sample

KEY = {"authorization": "Bearer key"}


class Application:
    """An application behind the gate that notes what reaches it."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, _: Any, send: Any) -> None:
        """Answer with 200."""
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def app() -> Application:
    """Return the application."""
    return Application()


@pytest.fixture
def lifecycle() -> Lifecycle:
    """Return the lifecycle of a server that is ready."""
    lifecycle = Lifecycle(10)
    lifecycle.mark_ready()
    return lifecycle


@pytest.fixture
def admission(lifecycle: Lifecycle, metrics: Metrics) -> Admission:
    """Return one permit."""
    return Admission(lifecycle, capacity=Cost(1, 9), max_queue_s=30, metrics=metrics)


@pytest.fixture
async def client(
    app: Application, admission: Admission, metrics: Metrics
) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the gate."""
    gate: Any = Gate(
        app,
        paths=["/work"],
        authenticator=Authenticator(KeyRing(["key"])),
        keys=build_key_guard(metrics),
        admission=admission,
        max_body_bytes=100,
        refusals=RequestRefusals(metrics, RefusalLog()),
        early_returns=EarlyReturns(),
    )
    transport = httpx.ASGITransport(gate)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def send_nothing() -> AsyncIterator[bytes]:
    """Fail as soon as the body is read."""
    pytest.fail("the body was read")
    yield b""


def error_of(response: httpx.Response) -> dict[str, Any]:
    """Return the error of a response."""
    error: dict[str, Any] = response.json()["error"]
    return error


async def test_a_request_that_can_be_served_passes(
    client: httpx.AsyncClient, app: Application
) -> None:
    assert (await client.post("/work", headers=KEY)).text == "ok"
    tenant = app.scopes[0]["state"]["tenant"]
    assert tenant.queue_key == "env-1"


@pytest.mark.parametrize(("method", "path"), [("GET", "/work"), ("POST", "/other")])
async def test_what_costs_no_work_passes(method: str, path: str, client: httpx.AsyncClient) -> None:
    assert (await client.request(method, path)).status_code == 200


async def test_a_wrong_key_is_refused_before_the_body_is_read(
    client: httpx.AsyncClient, app: Application, metrics: Metrics
) -> None:
    response = await client.post(
        "/work", content=send_nothing(), headers={"authorization": "Bearer no"}
    )
    assert (response.status_code, error_of(response)["code"]) == (401, "invalid_api_key")
    assert response.headers["www-authenticate"] == "Bearer"
    assert app.scopes == []
    assert sample(metrics, "requests_total", outcome="invalid_api_key") == 1


@pytest.mark.parametrize("length", ["101", "9" * 40, "9" * 5000])
async def test_a_declared_length_over_the_limit_is_refused_unread(
    length: str, client: httpx.AsyncClient, app: Application
) -> None:
    headers = {**KEY, "content-length": length}
    response = await client.post("/work", content=send_nothing(), headers=headers)
    assert (response.status_code, error_of(response)["code"]) == (413, "request_too_large")
    assert app.scopes == []


@pytest.mark.parametrize("length", ["", "-1", "1e3", "x", "\u00b2", "100"])
async def test_a_length_that_is_no_number_counts_for_nothing(
    length: str, client: httpx.AsyncClient
) -> None:
    headers = {**{key.encode(): value.encode() for key, value in KEY.items()}}
    headers[b"content-length"] = length.encode("latin-1")
    assert (await client.post("/work", headers=headers)).status_code == 200


async def test_overload_is_refused_unread(
    client: httpx.AsyncClient, app: Application, admission: Admission, metrics: Metrics
) -> None:
    tenant = Authenticator(KeyRing(["key"])).authenticate("Bearer key").queue_key
    admission._max_waiting = 0
    with await admission.acquire(tenant):
        response = await client.post("/work", content=send_nothing(), headers=KEY)
    assert (response.status_code, error_of(response)["code"]) == (429, "rate_limit_exceeded")
    assert int(response.headers["retry-after"]) >= 1
    assert app.scopes == []
    assert sample(metrics, "requests_total", outcome="rate_limit_exceeded") == 1


async def test_none_while_the_server_drains(
    client: httpx.AsyncClient, lifecycle: Lifecycle
) -> None:
    lifecycle.drain()
    response = await client.post("/work", headers=KEY)
    assert (response.status_code, error_of(response)["code"]) == (503, "not_ready")
    assert response.headers["retry-after"] == "1"
