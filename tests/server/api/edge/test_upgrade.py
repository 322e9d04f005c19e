"""An offer to upgrade is ignored and its request answered, body included."""

import pytest

from server.api.edge.upgrade import build_synthetic_head
from tests.server.api.edge.running import RunningEdge, build_request, wait_until

H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
CHUNKED_OFFER = (
    b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


@pytest.mark.parametrize("offer", [H2C, WEBSOCKET])
@pytest.mark.parametrize("size", [0, 5, 300_000])
def test_a_body_with_a_length(edge: RunningEdge, offer: tuple[str, ...], size: int) -> None:
    body = b"a" * size
    with edge.connect() as client:
        assert client.request("/echo", body, *offer).body == body
        assert client.request("/echo", b"plain").body == b"plain"
        assert client.request("/echo", body, *offer).body == body
    assert edge.refusals == []


def test_a_body_that_comes_later(edge: RunningEdge) -> None:
    head = build_request("/echo", b"hello", *H2C)[:-5]
    with edge.connect() as client:
        client.send(head)
        wait_until(lambda: edge.app.started == ["/echo"])
        client.send(b"he")
        client.send(b"llo")
        assert client.read_response().body == b"hello"


def test_a_chunked_body_and_its_trailer(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(CHUNKED_OFFER, b"5\r\nhe")
        wait_until(lambda: edge.app.started == ["/echo"])
        client.send(b"llo\r\n0\r\nx: y\r\n\r\n")
        assert client.read_response().body == b"hello"
        assert client.request("/echo", b"plain").body == b"plain"
    assert all(b"x" not in headers for _, headers, _ in edge.app.requests)


def test_pipelined_offers(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(*(build_request("/echo", str(n).encode(), *H2C) for n in range(4)))
        assert [client.read_response().body for _ in range(4)] == [b"0", b"1", b"2", b"3"]


def test_an_offer_on_a_connection_that_closes(edge: RunningEdge) -> None:
    with edge.connect() as client:
        response = client.request("/echo", b"a", "Connection: Upgrade, close", "Upgrade: h2c")
        assert (response.body, response.headers["connection"]) == (b"a", "close")
        assert client.is_ended()


def test_a_bad_body_behind_an_offer(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(CHUNKED_OFFER, b"nonsense\r\n")
        assert client.read_response().status == 400
        assert client.is_ended()
    assert edge.refusals == ["bad_request"]


def test_synthetic_head_has_the_framing_only() -> None:
    headers = [(b"host", b"x"), (b"content-length", b"5"), (b"upgrade", b"h2c")]
    assert build_synthetic_head(headers, keep_alive=True) == (
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n"
    )
    assert build_synthetic_head([], keep_alive=False) == (
        b"POST / HTTP/1.1\r\nconnection: close\r\n\r\n"
    )
