"""Responses: early ones, and those for HTTP/1.0."""

import time
from contextlib import suppress
from typing import Any

import pytest

from server.api.edge.cycle import MAX_JOINED_BYTES, ResponseTransport
from tests.server.api.edge.running import (
    Client,
    RunningEdge,
    build_request,
    running_edge,
    wait_until,
)

HEAD = b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n"


def assert_early(client: Client) -> None:
    response = client.read_response()
    assert (response.status, response.headers["connection"]) == (401, "close")
    assert response.body == b"early"


def test_an_early_response_ends_the_connection(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(HEAD, b"some")
        assert_early(client)
        assert client.is_ended()  # half-closed
        wait_until(lambda: edge.table.lingering_connections == 1)
        client.send(b"more" * 1000)
    wait_until(lambda: edge.table.open_connections == 0)
    assert edge.refusals == []


def test_an_early_response_is_read_after_sending_much() -> None:
    with running_edge() as edge, edge.connect() as client:
        client.send(HEAD)
        wait_until(lambda: edge.table.lingering_connections == 1)
        client.send(b"x" * 3_000_000)
        assert_early(client)


def test_discarding_is_bounded_in_bytes() -> None:
    with running_edge(max_discarded_bytes=100_000, linger_s=0.3) as edge, edge.connect() as client:
        client.send(HEAD)
        wait_until(lambda: edge.table.lingering_connections == 1)
        sent = 0
        try:
            while sent < 100_000_000:
                client.send(b"x" * 65536)
                sent += 65536
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert sent < 20_000_000  # what the kernel holds


def test_discarding_is_bounded_in_time() -> None:
    with running_edge(linger_s=0.1) as edge, edge.connect() as client:
        started = time.monotonic()
        client.send(HEAD)
        wait_until(lambda: edge.app.started == ["/early"])
        wait_until(lambda: edge.table.open_connections == 0)
        assert time.monotonic() - started >= 0.1


def test_a_client_that_sends_on_is_heard_out() -> None:
    """Slower than the pause that ends the discarding, but steadily."""
    with running_edge(linger_s=0.4, sweep_interval_s=0.1) as edge, edge.connect() as client:
        client.send(HEAD)
        wait_until(lambda: edge.table.lingering_connections == 1)
        started = time.monotonic()
        while time.monotonic() - started < 1.0:
            client.send(b"x" * 1000)
            time.sleep(0.02)
        assert_early(client)
        wait_until(lambda: edge.table.open_connections == 0)


@pytest.mark.parametrize("length", [100_000_000, 100_000])
def test_sending_on_is_bounded_in_time(length: int) -> None:
    """Also where the connection would go on at the end of the body."""
    limits: dict[str, Any] = {"linger_s": 0.4, "max_linger_s": 0.5, "sweep_interval_s": 0.1}
    with running_edge(**limits) as edge, edge.connect() as client:
        client.send(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % length)
        wait_until(lambda: edge.app.started == ["/early"])
        while edge.table.open_connections:
            with suppress(ConnectionResetError, BrokenPipeError):
                client.send(b"x" * 1000)
            time.sleep(0.02)


def test_a_connection_stays_where_the_whole_body_was_there(edge: RunningEdge) -> None:
    with edge.connect() as client:
        for _ in range(3):
            response = client.request("/early", b"small")
            assert (response.status, response.body) == (401, b"early")
            assert "connection" not in response.headers
    assert edge.table.lingering_connections == 0


def test_a_connection_stays_where_the_rest_of_the_body_is_small(edge: RunningEdge) -> None:
    request = build_request("/early", b"b" * 60_000)
    with edge.connect() as client:
        for _ in range(2):
            client.send(request[:-59_000])
            response = client.read_response()
            assert (response.status, response.body) == (401, b"early")
            assert "connection" not in response.headers
            client.send(request[-59_000:], build_request("/echo", b"next"))
            assert client.read_response().body == b"next"


def test_a_small_rest_that_does_not_come() -> None:
    with running_edge(linger_s=0.1) as edge, edge.connect() as client:
        client.send(build_request("/early", b"body")[:-1])
        assert client.read_response().status == 401
        assert client.is_ended()
        assert edge.refusals == []


def test_too_many_lingering_connections_close_at_once() -> None:
    with running_edge(max_lingering=0) as edge, edge.connect() as client:
        client.send(HEAD)
        assert_early(client)
        assert client.is_ended()
        wait_until(lambda: edge.table.open_connections == 0)


def test_expect_is_refused_without_the_body(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(build_request("/early", b"body", "expect: 100-continue")[:-4])
        assert_early(client)


def test_http_1_0_gets_no_chunks(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(b"GET /unsized HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        response = client.read_response()
        assert "transfer-encoding" not in response.headers
        assert (response.body, response.headers["connection"]) == (b"unsized", "close")


def test_http_1_0_with_a_length(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(b"POST /echo HTTP/1.0\r\ncontent-length: 3\r\n\r\nabc")
        response = client.read_response()
        assert (response.body, response.headers["content-length"]) == (b"abc", "3")
        assert client.is_ended()


def test_http_1_1_gets_chunks(edge: RunningEdge) -> None:
    with edge.connect() as client:
        response = client.request("/unsized")
        assert (response.body, response.headers["transfer-encoding"]) == (b"unsized", "chunked")
        assert client.request("/unsized", b"", "connection: close").body == b"unsized"
        assert client.is_ended()


def test_head_has_no_body(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(b"HEAD /unsized HTTP/1.1\r\nhost: x\r\n\r\n")
        while client.file.readline() != b"\r\n":
            pass
        assert client.request("/echo", b"a").body == b"a"


def test_an_early_response_to_a_queued_request(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(build_request("/later"), HEAD, b"some")
        wait_until(lambda: edge.app.started == ["/later"])
        edge.app.go.set()
        assert client.read_response().status == 200
        assert_early(client)
        assert client.is_ended()


class Written:
    """A transport that records its writes."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Record a write."""
        self.writes.append(data)

    def is_closing(self) -> bool:
        """Never."""
        return False


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"body", [b"headbody", b"next"]),
        (b"", [b"head", b"next"]),
        (b"x" * (MAX_JOINED_BYTES + 1), [b"head", b"x" * (MAX_JOINED_BYTES + 1), b"next"]),
    ],
)
def test_head_and_body_are_one_write_unless_large(body: bytes, expected: list[bytes]) -> None:
    written = Written()
    transport = ResponseTransport(written, lambda: None)  # type: ignore[arg-type]
    transport.join_next_two()
    for data in (b"head", body, b"next"):
        transport.write(data)
    assert written.writes == expected
