"""What a server answers while its model is pulled."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from model_store.progress import PullProgress
from server.listening import begin_to_listen
from server.settings import Settings
from server.start.preparation import Preparation
from server.start.waiting import answer_while_pulling

PULLING = "pulling org/a: 3.1 GB of 13.5 GB"


@pytest.fixture
def prepared() -> Iterator[Preparation]:
    """Open both ports."""
    settings = Settings(port=0, admin_port=0, root_path="/llava", header_timeout_s=0.2)
    with ExitStack() as stack:
        prepared = Preparation(settings, (), stack)
        for listener in (prepared.listener, prepared.admin_listener):
            assert listener is not None
            begin_to_listen(listener)
        yield prepared


def locate(listener: socket.socket | None) -> str:
    """Return a listener's URL."""
    assert listener is not None
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_probes_are_answered_on_both_ports(prepared: Preparation) -> None:
    with answer_while_pulling(prepared, lambda: PULLING):
        for listener in (prepared.listener, prepared.admin_listener):
            with httpx.Client(base_url=locate(listener)) as client:
                for path in ("/health", "/health/", "/llava/health"):
                    live = client.get(path)
                    assert (live.status_code, live.json()) == (200, {"status": "alive"})
                for path in ("/startup", "/ready"):
                    ready = client.get(path)
                    assert ready.status_code == 503
                    assert ready.json() == {"status": "loading", "reason": PULLING}
                assert client.head("/health").status_code == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/tokenize", "/metrics"])
def test_all_else_is_refused_in_the_shape_of_its_api(path: str, prepared: Preparation) -> None:
    with answer_while_pulling(prepared, lambda: PULLING):
        refused = httpx.post(f"{locate(prepared.listener)}{path}", content=b"x" * 100_000)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    error = refused.json()["error"]
    assert error["message"] == f"The server is {PULLING}."
    assert error.get("code", error["type"]) in ("not_ready", "overloaded_error", "api_error")
    assert ("type" in refused.json()) is (path == "/v1/messages")


def test_limits_of_connections_hold(prepared: Preparation) -> None:
    assert prepared.listener is not None
    with (
        answer_while_pulling(prepared, lambda: PULLING),
        socket.create_connection(prepared.listener.getsockname(), timeout=10) as slow,
    ):
        slow.sendall(b"GET / HTTP/1.1\r\n")
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")


def test_whoever_connects_afterwards_waits_for_the_server(prepared: Preparation) -> None:
    assert prepared.listener is not None
    with answer_while_pulling(prepared, lambda: PULLING):
        httpx.get(f"{locate(prepared.listener)}/health")
    with socket.create_connection(prepared.listener.getsockname(), timeout=10) as client:
        client.sendall(b"hello")
        prepared.listener.settimeout(10)
        accepted, _ = prepared.listener.accept()
        with accepted:
            assert accepted.recv(5) == b"hello"


def test_progress_in_words() -> None:
    progress = PullProgress()
    assert str(progress) == ""
    progress.start(13_500_000_000, 3_000_000_000)
    progress.add(100_000_000)
    assert str(progress) == "3.1 GB of 13.5 GB"
    progress.add(20_000_000_000)
    assert str(progress) == "13.5 GB of 13.5 GB"
