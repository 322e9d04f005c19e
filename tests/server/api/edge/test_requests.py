"""Headers, trailers and pipelining are bounded."""

import json

import pytest

from tests.server.api.edge.running import (
    Client,
    RunningEdge,
    build_request,
    running_edge,
    wait_until,
)

CHUNKED = b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


def assert_refused(client: Client, edge: RunningEdge, status: int, reason: str) -> None:
    """The response has OpenAI's shape and the connection ends."""
    response = client.read_response()
    assert response.status == status
    assert response.headers["connection"] == "close"
    error = json.loads(response.body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert client.is_ended()
    assert edge.refusals == [reason]


def test_requests_share_a_connection(edge: RunningEdge) -> None:
    with edge.connect() as client:
        for body in (b"one", b"", b"y" * 300_000):
            response = client.request("/echo", body)
            assert (response.status, response.body) == (200, body)
            assert "connection" not in response.headers
    assert edge.refusals == []


def test_a_chunked_body(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(CHUNKED, b"3;ext=1\r\none\r\n4\r\n two\r\n0\r\n\r\n")
        assert client.read_response().body == b"one two"
        assert client.request("/echo", b"again").body == b"again"


def test_small_chunks(edge: RunningEdge) -> None:
    """Thousands of tiny ones are fine, and any number of others."""
    with edge.connect() as client:
        client.send(CHUNKED, b"1\r\nx\r\n" * 4000, b"0\r\n\r\n")
        assert client.read_response().body == b"x" * 4000
        client.send(CHUNKED, (b"40\r\n" + b"x" * 64 + b"\r\n") * 20_000, b"0\r\n\r\n")
        assert len(client.read_response().body) == 64 * 20_000


def test_too_many_small_chunks(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(CHUNKED, b"1\r\nx\r\n" * 5000)
        assert_refused(client, edge, 400, "small_chunks")
    wait_until(lambda: edge.app.disconnects == ["/echo"])


@pytest.mark.parametrize(
    ("begin", "filler"),
    [
        (b"GET /", b"a"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nname: ", b"a"),
        (b"GET / HTTP/1.1\r\nhost: x\r\n", b"a"),
        (b"", b"\r\n"),
    ],
    ids=["request line", "header value", "header name", "empty lines"],
)
@pytest.mark.parametrize("piece", [100, 4096])
def test_endless_heads(edge: RunningEdge, begin: bytes, filler: bytes, piece: int) -> None:
    with edge.connect() as client:
        client.send(begin)
        sent = 0
        while not edge.refusals:
            client.send(filler * (piece // len(filler)))
            sent += piece
            assert sent < 4 * 2**20
        assert_refused(client, edge, 431, "header_bytes")
    assert edge.app.started == []


@pytest.mark.parametrize("is_one", [True, False])
def test_complete_headers_over_the_limit(edge: RunningEdge, is_one: bool) -> None:
    sizes = [2100] if is_one else [400] * 6
    with edge.connect() as client:
        client.send(build_request("/echo", b"", *[f"a: {'b' * size}" for size in sizes]))
        assert_refused(client, edge, 431, "header_bytes")


def test_headers_within_the_limit_before_a_large_body(edge: RunningEdge) -> None:
    with edge.connect() as client:
        assert client.request("/echo", b"z" * 100_000, f"a: {'b' * 1900}").status == 200


def test_too_many_header_lines(edge: RunningEdge) -> None:
    with edge.connect() as client:
        assert client.request("/echo", b"", *["a: b"] * 8).status == 200
        client.send(build_request("/echo", b"", *["a: b"] * 9))
        assert_refused(client, edge, 431, "header_lines")


def test_trailers_are_no_headers(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(CHUNKED, b"3\r\none\r\n0\r\nauthorization: Bearer x\r\n\r\n")
        assert client.read_response().body == b"one"
        assert client.request("/echo", b"again").status == 200
    for _, headers, _ in edge.app.requests:
        assert b"authorization" not in headers


@pytest.mark.parametrize(
    "begin",
    [b"3\r\none\r\n0\r\n", b"3\r\none\r\n0\r\nname: ", b"3\r\none\r\n3;ext=", b"3;"],
    ids=["trailer name", "trailer value", "chunk extension", "first chunk extension"],
)
def test_endless_framing_of_chunks(edge: RunningEdge, begin: bytes) -> None:
    with edge.connect() as client:
        client.send(CHUNKED, begin)
        while not edge.refusals:
            client.send(b"a" * 100)
        assert_refused(client, edge, 431, "header_bytes")
    wait_until(lambda: edge.app.disconnects == ["/echo"])


def test_pipelined_requests_are_answered_in_order(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(*(build_request("/echo", str(n).encode()) for n in range(6)))
        assert [client.read_response().body for _ in range(6)] == [
            b"0",
            b"1",
            b"2",
            b"3",
            b"4",
            b"5",
        ]
        assert client.request("/echo", b"next").body == b"next"


def test_a_large_body_behind_other_requests(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(build_request("/later"), build_request("/echo", b"a"))
        client.send(build_request("/echo", b"b" * 200_000))
        edge.app.go.set()
        assert [len(client.read_response().body) for _ in range(3)] == [0, 1, 200_000]


def test_too_many_pipelined_requests() -> None:
    with running_edge(max_pipelined=2, linger_s=0.1) as edge, edge.connect() as client:
        client.send(build_request("/later"), *[build_request("/echo", b"a")] * 20)
        wait_until(lambda: edge.refusals == ["pipelined"])
        edge.app.go.set()
        responses = [client.read_response() for _ in range(3)]
        assert [response.headers.get("connection") for response in responses] == [
            None,
            None,
            "close",
        ]
        assert client.is_ended()
        assert edge.app.started == ["/later", "/echo", "/echo"]


def test_reading_pauses_while_pipelined_requests_wait() -> None:
    with running_edge(max_pipelined=2) as edge, edge.connect() as client:
        # It waits for a disconnect, which resumes reading in uvicorn.
        client.send(build_request("/wait"), build_request("/echo", b"a"))
        wait_until(lambda: edge.app.started == ["/wait"])
        client.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.send(build_request("/echo", b"b" * 60_000) * 500)
        assert edge.refusals == []
        edge.app.go.set()


def test_a_client_that_leaves_pipelined_requests(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(build_request("/wait"), build_request("/echo", b"a"))
        wait_until(lambda: len(edge.app.requests) == 1)
    wait_until(lambda: edge.app.disconnects == ["/wait"])


def test_what_follows_a_request_waits_for_its_response(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(build_request("/later"), b"nonsense\r\n\r\n")
        wait_until(lambda: edge.refusals == ["bad_request"])
        edge.app.go.set()
        response = client.read_response()
        assert (response.status, response.headers["connection"]) == (200, "close")
        assert client.is_ended()


def test_a_disconnect_reaches_the_request_that_runs(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(build_request("/wait"))
        wait_until(lambda: len(edge.app.requests) == 1)
    wait_until(lambda: edge.app.disconnects == ["/wait"])


def test_percent_encoding_and_query(edge: RunningEdge) -> None:
    with edge.connect() as client:
        assert client.request("/a%20b?c=d").status == 200
    assert edge.app.started == ["/a b"]
