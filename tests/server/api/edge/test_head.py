"""Requests whose framing is ambiguous are refused."""

import pytest

from tests.server.api.edge.running import RunningEdge, wait_until
from tests.server.api.edge.test_requests import assert_refused

POST = "POST /echo HTTP/1.1\r\n"
HOST = POST + "Host: x\r\n"
CHUNKED = HOST + "Transfer-Encoding: chunked\r\n"
NO_CHUNK = "\r\n0\r\n\r\n"

BAD = {
    "length and chunked": CHUNKED + "Content-Length: 5\r\n" + NO_CHUNK,
    "chunked after length": HOST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" + NO_CHUNK,
    "two lengths": HOST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "two equal lengths": HOST + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": HOST + "Content-Length: 5, 5\r\n\r\nhello",
    "a signed length": HOST + "Content-Length: +5\r\n\r\nhello",
    "a hexadecimal length": HOST + "Content-Length: 0x5\r\n\r\nhello",
    "an empty length": HOST + "Content-Length:\r\n\r\nhello",
    "a huge length": HOST + "Content-Length: 99999999999999999999999\r\n\r\n",
    "a length of thousands of digits": HOST + f"Content-Length: {'0' * 1000}5\r\n\r\nhello",
    "a folded line": HOST + "X: a\r\n b\r\n\r\n",
    "a folded length": HOST + "Content-Length:\r\n 5\r\n\r\nhello",
    "bare LF": HOST + "X: a\nContent-Length: 5\r\n\r\nhello",
    "bare LF after the request line": "POST /echo HTTP/1.1\nHost: x\r\n\r\n",
    "bare LF at the end": HOST + "\n",
    "bare CR": HOST + "X: a\rContent-Length: 5\r\n\r\nhello",
    "NUL": HOST + "X: a\0b\r\n\r\n",
    "a space before the colon": HOST + "Content-Length : 5\r\n\r\nhello",
    "a space before the name": POST + " Host: x\r\n\r\n",
    "a line without a colon": HOST + "nonsense\r\n\r\n",
    "an unknown coding": HOST + "Transfer-Encoding: xchunked\r\n" + NO_CHUNK,
    "two codings": HOST + "Transfer-Encoding: gzip, chunked\r\n" + NO_CHUNK,
    "chunked not last": HOST + "Transfer-Encoding: chunked, identity\r\n" + NO_CHUNK,
    "chunked twice": CHUNKED + "Transfer-Encoding: chunked\r\n" + NO_CHUNK,
    "a coding in HTTP/1.0": "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" + NO_CHUNK,
    "a chunk without a size": CHUNKED + "\r\nx\r\n",
    "bare LF after a chunk size": CHUNKED + "\r\n5\nhello\r\n0\r\n\r\n",
    "a huge chunk": CHUNKED + "\r\nFFFFFFFFFFFFFFFFFF\r\nhello",
    "a length in a trailer": CHUNKED + "\r\n0\r\nContent-Length: 5\r\n\r\n",
    "no host": POST + "Content-Length: 0\r\n\r\n",
    "two hosts": HOST + "Host: y\r\n\r\n",
    "HTTP/0.9": "GET /\r\n\r\n",
    "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version 2.0": "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a target that is none": "GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("request_text", BAD.values(), ids=BAD.keys())
def test_bad_requests(edge: RunningEdge, request_text: str) -> None:
    with edge.connect() as client:
        client.send(request_text.encode("latin-1"))
        assert_refused(client, edge, 400, "bad_request")
    assert edge.app.requests == []


def test_empty_lines_before_a_request(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(b"\r\n\r\n")
        assert client.request("/echo", b"a").body == b"a"
        client.send(b"\r\n")
        assert client.request("/echo", b"b").body == b"b"


def test_bad_chunk_after_the_application_began(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(CHUNKED.encode(), b"\r\n3\r\none\r\n")
        wait_until(lambda: edge.app.started == ["/echo"])
        client.send(b"nonsense\r\n")
        assert_refused(client, edge, 400, "bad_request")
    wait_until(lambda: edge.app.disconnects == ["/echo"])


def test_expect_continue(edge: RunningEdge) -> None:
    with edge.connect() as client:
        client.send(HOST.encode(), b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert client.file.readline() == b"HTTP/1.1 100 Continue\r\n"
        client.file.readline()
        client.send(b"abc")
        assert client.read_response().body == b"abc"
