"""The gate: refuses before a body is read, and keeps a place for a body that arrives."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from server.api import gate as gate_module
from server.api.admission.admission import EARLY_DELAY_S, FLOOD_DELAY_S, Admission
from server.api.admission.arrivals import Arrival
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

PATH = "/v1/chat/completions"
MIB = 1024 * 1024


class App:
    """An application that holds each request until it is told to answer."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival | None] = []
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, _: Receive, __: Send) -> None:
        """Note the place that the gate keeps."""
        self.arrivals.append(scope["state"]["gate"].arrival)
        await self.go_on.wait()


@pytest.fixture
def app() -> App:
    """Return the application behind the gate."""
    return App()


@pytest.fixture
def admission(metrics: Metrics) -> Admission:
    """Return an admission with one permit."""
    lifecycle = Lifecycle(drain_timeout_s=1)
    lifecycle.mark_ready()
    return Admission(lifecycle, capacity=Cost(1, 4 * MIB), max_queue_s=9, metrics=metrics)


@pytest.fixture
def gate(app: App, admission: Admission, metrics: Metrics) -> Gate:
    """Return a gate in front of the application."""
    return Gate(
        app,
        paths=[PATH],
        authenticator=Authenticator(KeyRing([])),
        keys=build_key_guard(metrics),
        admission=admission,
        max_body_bytes=8 * MIB,
        refusals=RequestRefusals(metrics, RefusalLog()),
        early_returns=EarlyReturns(),
    )


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Record delays of the gate instead of waiting."""
    seen: list[float] = []

    async def sleep(seconds: float) -> None:
        seen.append(seconds)

    monkeypatch.setattr(gate_module.asyncio, "sleep", sleep)  # type: ignore[attr-defined]
    yield seen
    monkeypatch.undo()


async def post(gate: Gate, *, body_bytes: int = 100, port: int = 1) -> list[Message]:
    """Send the head of a request; no body may be read."""
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "client": ("10.0.0.1", port),
        "headers": [(b"content-length", str(body_bytes).encode())],
    }
    await gate(scope, receive, send)
    return sent


async def test_a_client_that_ignores_its_retry_after_waits_for_the_next_refusal(
    gate: Gate, admission: Admission, delays: list[float]
) -> None:
    held = admission.check(b"10.0.0.1".hex(), cost=Cost(1, 4 * MIB))
    assert held is not None
    first = await post(gate, body_bytes=4 * MIB)
    assert first[0]["status"] == 429
    assert json.loads(first[1]["body"])["error"]["code"] == "rate_limit_exceeded"
    assert int(dict(first[0]["headers"])[b"retry-after"]) >= 1
    assert delays == []
    await post(gate, body_bytes=4 * MIB, port=2)
    assert delays == []
    await post(gate, body_bytes=4 * MIB)
    assert delays == [EARLY_DELAY_S]
    with await admission.acquire("another tenant"):
        await post(gate, body_bytes=4 * MIB)
        await post(gate, body_bytes=4 * MIB)
    assert delays == [EARLY_DELAY_S, FLOOD_DELAY_S, FLOOD_DELAY_S]


async def test_a_large_body_has_a_place_until_the_request_ends(gate: Gate, app: App) -> None:
    request = asyncio.create_task(post(gate, body_bytes=4 * MIB))
    await asyncio.sleep(0)
    [arrival] = app.arrivals
    assert arrival is not None
    assert (await post(gate, body_bytes=4 * MIB, port=2))[0]["status"] == 429
    app.go_on.set()
    await request
    assert await post(gate, body_bytes=4 * MIB, port=2) == []


async def test_a_small_body_needs_no_place(gate: Gate, app: App) -> None:
    app.go_on.set()
    await post(gate)
    assert app.arrivals == [None]


async def test_a_body_beyond_the_limit_is_refused(gate: Gate) -> None:
    assert (await post(gate, body_bytes=9 * MIB))[0]["status"] == 413
