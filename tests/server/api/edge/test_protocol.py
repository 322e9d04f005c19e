"""Connections are counted; heads, bodies and readers must not take forever."""

import json
import socket
import threading
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.server.api.edge.running import (
    RunningEdge,
    build_request,
    running_edge,
    wait_until,
)

POST = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"


@pytest.mark.parametrize(
    ("limit", "status", "reason"),
    [
        ("max_connections", 503, "connections"),
        ("max_connections_per_address", 429, "connections_per_address"),
    ],
)
def test_too_many_connections(limit: str, status: int, reason: str) -> None:
    limits: dict[str, Any] = {limit: 2}
    with running_edge(None, **limits) as edge, edge.connect() as client:
        assert client.request("/echo", b"a").status == 200
        client.send(POST)
        with edge.connect() as other:
            other.send(POST)
            wait_until(lambda: edge.app.started.count("/echo") == 3)
            with edge.connect() as refused:
                refused.send(build_request("/echo", b"a"))
                response = refused.read_response()
                assert (response.status, response.headers["connection"]) == (status, "close")
                assert response.headers["retry-after"] == "1"
                assert json.loads(response.body)["error"]["param"] is None
                assert refused.is_ended()
            other.send(bytes(1_000_000))
            assert other.read_response().status == 200
        wait_until(lambda: edge.table.open_connections == 1)
        with edge.connect() as admitted:
            assert admitted.request("/echo", b"c").status == 200
        assert (edge.refusals, edge.refused) == ([reason], {"127.0.0.1"})


def test_the_longest_idle_connection_makes_room() -> None:
    """Silent connections keep nobody out, used or not."""
    with (
        running_edge(max_connections=3) as edge,
        edge.connect() as busy,
        edge.connect() as silent,
        edge.connect() as used,
        ExitStack() as others,
    ):
        busy.send(POST)
        assert used.request("/echo", b"a").status == 200
        wait_until(lambda: edge.table.open_connections == 3)
        for gone in (silent, used):
            new = others.enter_context(edge.connect())
            assert new.request("/echo", b"b").status == 200
            assert gone.is_ended()
            assert edge.table.open_connections == 3
        busy.send(bytes(1_000_000))
        assert busy.read_response().status == 200
        assert edge.refusals == []


def test_unix_sockets_have_no_address(tmp_path: Path) -> None:
    with (
        running_edge(tmp_path / "socket", max_connections_per_address=1) as edge,
        edge.connect() as one,
        edge.connect() as other,
    ):
        assert one.request("/echo", b"a").body == other.request("/echo", b"a").body == b"a"


@pytest.mark.parametrize("begin", [b"G", b"POST /echo HTTP/1.1\r\nhost: x\r\n"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_slow_head(begin: bytes, is_first: bool) -> None:
    with running_edge(header_timeout_s=0.1) as edge, edge.connect() as client:
        if not is_first:
            assert client.request("/echo", b"a").status == 200
        client.send(begin)
        response = client.read_response()
        assert (response.status, response.headers["connection"]) == (408, "close")
        assert client.is_ended()
        assert edge.refusals == ["header_timeout"]


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_a_connection_without_a_request(sent: bytes) -> None:
    with running_edge(header_timeout_s=0.1) as edge, edge.connect() as client:
        client.send(sent)
        assert client.is_ended()
        assert edge.refusals == ["header_timeout"]


def test_an_idle_connection() -> None:
    with (
        running_edge(header_timeout_s=0.05, keep_alive_timeout_s=0.2) as edge,
        edge.connect() as client,
    ):
        for _ in range(2):
            assert client.request("/echo", b"a").status == 200
        started = time.monotonic()
        client.send(b"\r\n")  # some clients end a body so
        assert client.is_ended()
        assert time.monotonic() - started >= 0.15
        assert edge.refusals == []


def test_a_long_answer_is_no_silence() -> None:
    with (
        running_edge(header_timeout_s=0.05, keep_alive_timeout_s=0.05) as edge,
        edge.connect() as client,
    ):
        client.send(build_request("/later"), b"\r\n")
        threading.Timer(0.3, edge.app.go.set).start()
        assert client.read_response().status == 200


def slow_body_edge() -> AbstractContextManager[RunningEdge]:
    return running_edge(body_grace_s=0.1, min_body_bytes_per_s=5000)


@pytest.mark.parametrize("piece", [b"", b"a"])
def test_a_slow_body(piece: bytes) -> None:
    with slow_body_edge() as edge, edge.connect() as client:
        client.send(POST)
        while not edge.refusals:
            client.send(piece)
            time.sleep(0.005)
        response = client.read_response()
        assert (response.status, response.headers["connection"]) == (408, "close")
        assert client.is_ended()
        assert edge.refusals == ["body_timeout"]
        wait_until(lambda: edge.app.disconnects == ["/echo"])


def test_a_fast_start_buys_no_stall() -> None:
    with slow_body_edge() as edge, edge.connect() as client:
        client.send(POST, b"a" * 900_000)
        assert client.read_response().status == 408
        assert edge.refusals == ["body_timeout"]


def test_a_slow_but_steady_body() -> None:
    with slow_body_edge() as edge, edge.connect() as client:
        client.send(build_request("/echo", b"a" * 10_000)[:-10_000])
        for _ in range(20):
            client.send(b"a" * 500)
            time.sleep(0.02)
        assert client.read_response().status == 200
        assert edge.refusals == []


def test_a_body_that_the_application_does_not_read() -> None:
    with running_edge(body_grace_s=0.05) as edge, edge.connect() as client:
        client.send(build_request("/later", b"a" * 300_000)[:-1])
        threading.Timer(0.3, edge.app.go.set).start()
        wait_until(edge.app.go.is_set)
        client.send(b"a")
        assert client.read_response().status == 200
        assert edge.refusals == []


def test_a_client_that_leaves_while_the_application_does_not_read(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(build_request("/later", b"a" * 150_000)[:-1])
        wait_until(lambda: edge.app.started == ["/later"])
    wait_until(lambda: edge.table.open_connections == 0)
    edge.app.go.set()
    wait_until(lambda: edge.app.disconnects == ["/later"])


def test_a_client_that_reads_nothing() -> None:
    with running_edge(write_timeout_s=0.2) as edge, edge.connect() as client:
        client.send(build_request("/stream"))
        wait_until(lambda: edge.refusals == ["write_timeout"])
        wait_until(lambda: edge.app.disconnects == ["/stream"])


def test_a_client_that_does_not_read_the_end() -> None:
    """The application is done, but its output is still buffered."""
    with running_edge(write_timeout_s=0.2) as edge, edge.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(build_request("/echo", b"a" * 16_000_000, "connection: close"))
        wait_until(lambda: len(edge.app.requests) == 1)
        wait_until(lambda: edge.refusals == ["write_timeout"])
        wait_until(lambda: edge.table.open_connections == 0)


def test_a_client_that_reads_slowly_but_steadily() -> None:
    with running_edge(write_timeout_s=0.15) as edge, edge.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(build_request("/stream", b"", "connection: close"))
        received = 0
        while piece := client.socket.recv(200_000):
            received += len(piece)
            time.sleep(0.002)
        assert received > 256 * 65536
        assert edge.refusals == []


def test_shutdown_closes_idle_connections() -> None:
    with running_edge() as edge:
        client = edge.connect()
        assert client.request("/echo", b"a").status == 200
    with client:
        assert client.is_ended()
