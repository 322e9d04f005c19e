"""The admin port, while the main event loop is busy and in each state of the server."""

import re
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import APIRoute

from server.admin_port import serve_admin
from server.api.admin import build_admin_app
from server.api.runtime import Runtime
from server.app import create_app
from server.checkpoint.config import Checkpoint
from server.keys.configured import read_key_ring
from server.keys.key_ring import KeyRing
from server.lifecycle import MAX_READY_TICK_INTERVAL_S, MAX_TICK_INTERVAL_S, Lifecycle
from server.settings import Settings


@pytest.fixture
def runtime(checkpoint: Checkpoint) -> Runtime:
    """Return the parts of a server that has not been started."""
    settings = Settings(admin_port=0, api_keys="key", protect_all=True)
    app = create_app(settings, checkpoint, Lifecycle(1), lambda _: None, read_key_ring(settings))
    found: Runtime = app.state.runtime
    return found


@pytest.fixture
def admin(runtime: Runtime) -> Iterator[httpx.Client]:
    """Return a client of the admin port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, serve_admin(runtime, listener):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(base_url=url, timeout=10) as client:
            yield client


def test_it_answers_without_a_key(admin: httpx.Client) -> None:
    assert admin.get("/health").json() == {"status": "alive"}
    assert admin.get("/version").status_code == 200
    assert "llava:num_requests_running" in admin.get("/metrics").text
    assert admin.head("/metrics").status_code == 200
    assert admin.get("/v1/models").json()["error"]["code"] == "not_found"


def test_the_help_names_all_its_paths(runtime: Runtime) -> None:
    paths = {route.path for route in build_admin_app(runtime).routes if isinstance(route, APIRoute)}
    described = Settings.model_fields["admin_port"].description or ""
    named, _, _ = described.partition(", which")
    assert set(re.findall(r"/\w+", named)) == paths


def test_states(admin: httpx.Client, runtime: Runtime) -> None:
    def probe() -> list[tuple[int, str]]:
        answers = [admin.get(path) for path in ("/startup", "/ready", "/health")]
        return [(answer.status_code, answer.json()["status"]) for answer in answers]

    assert probe() == [(503, "loading"), (503, "loading"), (200, "alive")]
    runtime.lifecycle.mark_ready()
    assert probe() == [(200, "ready"), (200, "ready"), (200, "alive")]
    runtime.lifecycle.drain()
    assert probe() == [(200, "draining"), (503, "draining"), (200, "alive")]
    runtime.lifecycle.fail("lost: find it")
    assert probe() == [(503, "failed")] * 3
    assert admin.get("/ready").json()["reason"] == "lost: find it"
    assert admin.get("/health").json()["reason"] == "lost: find it"


def test_a_stuck_event_loop_is_told(admin: httpx.Client, runtime: Runtime) -> None:
    runtime.lifecycle._last_tick -= MAX_TICK_INTERVAL_S
    assert admin.get("/health").json() == {"status": "stuck", "reason": "the event loop hangs"}
    runtime.lifecycle.record_tick()
    assert admin.get("/health").status_code == 200


def test_a_server_whose_event_loop_hangs_is_not_ready(
    admin: httpx.Client, runtime: Runtime
) -> None:
    runtime.lifecycle.mark_ready()
    assert "llava:ready 1.0" in admin.get("/metrics").text
    runtime.lifecycle._last_tick -= MAX_READY_TICK_INTERVAL_S
    answer = admin.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "stuck")
    assert "llava:ready 0.0" in admin.get("/metrics").text
    assert admin.get("/health").status_code == 200
    runtime.lifecycle.record_tick()
    assert admin.get("/ready").status_code == 200


def test_it_answers_while_this_thread_is_busy(admin: httpx.Client) -> None:
    admin.get("/health")
    took: list[float] = []

    def probe() -> None:
        for path in ("/health", "/ready", "/metrics") * 5:
            started = time.monotonic()
            assert admin.get(path).status_code in (200, 503)
            took.append(time.monotonic() - started)

    thread = threading.Thread(target=probe)
    thread.start()
    while thread.is_alive():  # busy in Python, as an event loop in trouble
        sum(range(10_000))
    assert len(took) == 15
    assert sorted(took)[7] < 0.1  # the median: a busy machine may delay a few


async def test_the_public_port_has_no_metrics_then(checkpoint: Checkpoint) -> None:
    app = create_app(Settings(admin_port=0), checkpoint, Lifecycle(1), lambda _: None, KeyRing(()))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/metrics")).status_code == 404
        assert (await client.get("/health")).status_code == 200
