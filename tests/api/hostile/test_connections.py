"""Hostile connections: heads, framing, times, floods and clients that leave."""

import json
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from tests.api.hostile.attacker import (
    Attacker,
    Response,
    build_head,
    parse_response,
    transfer,
)
from tests.api.hostile.building import CHAT, chat
from tests.api.hostile.watch import Watch
from tests.api.running import wait_for_metric

MIB = 2**20
BODY = json.dumps(chat()).encode()
LINES = b"".join(b"x-%07d: %s\r\n" % (number, b"a" * 200) for number in range(50_000))
SILENT = 1000
WITHHELD = 60
CHUNKED_HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
FULL = build_head(CHAT, len(BODY), "content-type: application/json")
POST = b"POST /v1/chat/completions HTTP/1.1\r\n"
GET = b"GET /health HTTP/1.1\r\nhost: x\r\n"

# What is sent on a connection of its own, and the statuses that may answer; 0 is none at all.
HEADS = {
    "a header of 40 MiB": ((GET, b"x: ", b"a" * (40 * MIB)), {431}),
    "a name of 40 MiB": ((GET, b"a" * (40 * MIB)), {431}),
    "900 MiB of header lines": ((GET, *[LINES] * 85), {431}),
    "a request line of 10 MiB": ((b"GET /", b"a" * (10 * MIB), b" HTTP/1.1\r\n"), {431}),
    "a query of 10 MiB": ((b"GET /health?", b"a=b&" * (5 * MIB // 2)), {431}),
    "a method of 10 MiB": ((b"G" * (10 * MIB),), {400}),
    "empty lines": ((b"\r\n" * (5 * MIB),), {400, 431}),
    "a chunk extension of 10 MiB": ((CHUNKED_HEAD, b"5;a=", b"b" * (10 * MIB)), {400, 431}),
    "many chunk extensions": (
        (
            CHUNKED_HEAD,
            b"1;a=bb\r\n \r\n" * 500_000,
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
        ),
        {400},
    ),
    "chunks of one byte": (
        (CHUNKED_HEAD, b"1\r\n \r\n" * 1_000_000, b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
        {400},
    ),
    "a chunk of a huge size": ((CHUNKED_HEAD, b"f" * 17 + b"\r\n"), {400}),
    "trailers of 10 MiB": ((CHUNKED_HEAD, b"1\r\n{\r\n0\r\n", LINES), {400, 431}),
    "two lengths": ((POST, b"host: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n"), {400}),
    "a length and chunks": (
        (POST, b"host: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        {400},
    ),
    "an unknown coding": (
        (POST, b"host: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
        {400},
    ),
    "a signed length": ((POST, b"host: x\r\ncontent-length: +5\r\n\r\n"), {400}),
    "a length of a thousand digits": (
        (POST, b"host: x\r\ncontent-length: " + b"9" * 1000 + b"\r\n\r\n"),
        {400, 413},
    ),
    "a length over the limit": (
        (POST, b"host: x\r\ncontent-length: 99999999999\r\n\r\n", bytes(MIB)),
        {413},
    ),
    "chunks over the limit": (
        (CHUNKED_HEAD, *[b"100000\r\n%s\r\n" % (b" " * MIB)] * 70),
        {413},
    ),
    "a space before the colon": ((POST, b"host : x\r\n\r\n"), {400}),
    "a folded header": ((GET, b"a: b\r\n c\r\n\r\n"), {400}),
    "lone line feeds": ((b"GET /health HTTP/1.1\nhost: x\n\n",), {400}),
    "zeros in a header": ((GET, b"a: \0\r\n\r\n"), {400}),
    "no host": ((b"GET /health HTTP/1.1\r\n\r\n",), {400}),
    "two hosts": ((GET, b"host: y\r\n\r\n"), {400}),
    "HTTP/0.9": ((b"GET /health\r\n\r\n",), {400}),
    "HTTP/2": ((b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",), {400}),
    "TLS": ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512),), {400}),
    "another version": ((b"GET /health HTTP/9.9\r\nhost: x\r\n\r\n",), {400}),
    "CONNECT": ((b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n",), {400, 404, 405}),
    "TRACE": ((b"TRACE / HTTP/1.1\r\nhost: a\r\n\r\n",), {404, 405}),
    "an absolute address": ((b"GET http://y/health HTTP/1.1\r\nhost: y\r\n\r\n",), {200, 400}),
    "a model's name of 30 KB": (
        (b"GET /v1/models/" + b"a/" * 15_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",),
        {404},
    ),
    "percent signs": (
        (b"GET /v1/models/" + b"%2e%ff" * 5_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",),
        {404},
    ),
    "a path of 30 KB": ((b"GET /" + b"../" * 10_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",), {404}),
    "a response's id of 30 KB": (
        (b"DELETE /v1/responses/" + b"a" * 30_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",),
        {404},
    ),
    "HTTP/1.0": (
        (b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(BODY), BODY),
        {200},
    ),
    "an upgrade to h2c": (
        (
            build_head(CHAT, len(BODY), "connection: upgrade, http2-settings", "upgrade: h2c"),
            BODY,
        ),
        {200},
    ),
    "an upgrade to a WebSocket": (
        (GET, b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n"),
        {200},
    ),
    "a huge timeout": (
        (build_head(CHAT, len(BODY), "x-request-timeout-ms: " + "9" * 1000), BODY),
        {400},
    ),
    "a request id of 30 KB": (
        (build_head(CHAT, len(BODY), "x-request-id: " + "i" * 30_000), BODY),
        {200},
    ),
    "a key of 30 KB": (
        (build_head(CHAT, len(BODY), "authorization: Bearer " + "k" * 30_000), BODY),
        {200},
    ),
    "a key that is not ASCII": (
        (
            build_head(CHAT, len(BODY)).replace(b"host", b"authorization: Bearer \xff\xfe\r\nhost"),
            BODY,
        ),
        {200, 400},
    ),
}


def check(response: Response, statuses: set[int]) -> None:
    """Fail unless a response has one of these statuses, and an error OpenAI's shape."""
    assert response.status in statuses, response.body[:300]
    assert len(response.body.decode()) < 1200
    if response.status >= 400:
        assert response.code


@pytest.mark.parametrize("name", HEADS)
def test_head(hostile: Watch, name: str) -> None:
    data, statuses = HEADS[name]
    response = hostile.run(name, lambda: hostile.attacker.exchange(*data))
    check(response, statuses)


def test_continue_is_not_sent_to_who_is_refused(hostile: Watch) -> None:
    head = build_head(CHAT, 100 * MIB, "expect: 100-continue")
    response = hostile.run("expect, too large", lambda: hostile.attacker.exchange(head))
    check(response, {413})
    with hostile.attacker.connect() as connection:
        connection.sendall(build_head(CHAT, len(BODY), "expect: 100-continue"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert parse_response(transfer(connection, BODY)).status == 200


def test_floods_on_one_connection(hostile: Watch) -> None:
    """Too many requests at once end the connection; a few are answered in order."""
    flood = (GET + b"\r\n") * 100_000
    response = hostile.run("pipelined GETs", lambda: hostile.attacker.exchange(flood))
    assert response.status in (0, 200)
    response = hostile.run(
        "pipelined POSTs", lambda: hostile.attacker.exchange((FULL + BODY) * 20_000)
    )
    assert response.status in (0, 200)


def test_half_closed_sockets(hostile: Watch) -> None:
    """A client that sends no more may still read, or is taken as gone."""

    def attack() -> list[Response]:
        responses = []
        for data in (FULL + BODY, FULL + BODY[:-1], GET[:-3], b""):
            with hostile.attacker.connect() as connection:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                responses.append(parse_response(transfer(connection, deadline_s=10)))
        return responses

    statuses = [each.status for each in hostile.run("half-closed sockets", attack)]
    assert set(statuses) <= {0, 200, 400}


def test_clients_that_leave_during_the_upload(hostile: Watch) -> None:
    cancelled = hostile.count_outcomes("cancelled")
    errors = hostile.count_outcomes("internal_error")

    def attack() -> None:
        for number in range(40):
            with hostile.attacker.connect() as connection:
                connection.sendall(build_head(CHAT, 10 * MIB) + b" " * (number * 50_000))
                if number % 2:
                    reset(connection)

    hostile.run("left during the upload", attack)
    deadline = time.monotonic() + 5
    while hostile.count_outcomes("cancelled") < cancelled + 40:
        assert time.monotonic() < deadline, hostile.count_outcomes("cancelled") - cancelled
        time.sleep(0.05)
    assert hostile.count_outcomes("internal_error") == errors


def test_connections_that_are_reset(hostile: Watch) -> None:
    def attack() -> None:
        for _ in range(500):
            with hostile.attacker.connect() as connection:
                connection.sendall(FULL + BODY[:20])
                reset(connection)

    hostile.run("500 resets", attack)


def test_silent_and_slow_connections(hostile: Watch) -> None:
    """All at once, since each of them takes as long as its timeout."""

    def attack() -> tuple[int, Response, Response]:
        with ThreadPoolExecutor(3) as threads:
            silent = threads.submit(count_silent, hostile.attacker)
            head = threads.submit(drip, hostile.attacker, GET + b"a: " + b"b" * 500, 0.05)
            slow = build_head(CHAT, 10 * MIB)
            body = threads.submit(drip, hostile.attacker, slow, 0.0, b" ")
            return silent.result(), head.result(), body.result()

    silent, slow_head, slow_body = hostile.run("silent and slow connections", attack)
    assert silent == SILENT
    check(slow_head, {408})
    check(slow_body, {408})
    wait_for_metric(hostile.server.url, "llava:num_requests_running", 0, limit_s=5)


def test_bodies_whose_last_byte_is_withheld(hostile: Watch) -> None:
    """By design most are refused: the memory for bodies is less than theirs."""
    size = 60 * MIB
    part = b" " * (size - 1)

    def attack() -> list[Response]:
        with ThreadPoolExecutor(WITHHELD) as threads:
            data = (build_head(CHAT, size), part)
            sent = [
                threads.submit(hostile.attacker.exchange, *data, deadline_s=30)
                for _ in range(WITHHELD)
            ]
            return [each.result() for each in sent]

    statuses = [each.status for each in hostile.run("60 bodies without their end", attack)]
    assert set(statuses) <= {0, 408, 413, 429}, statuses
    wait_for_metric(hostile.server.url, "llava:buffered_body_bytes", 0, limit_s=5)


def test_streams_that_nobody_reads(hostile: Watch) -> None:
    """The permits go back, and then the connections end."""
    fields = {"n": 8, "logprobs": True, "top_logprobs": 20, "max_tokens": 400, "stream": True}
    body = json.dumps(chat(**fields, ignore_eos=True)).encode()

    def attack() -> None:
        with ExitStack() as stack:
            for _ in range(8):
                connection = stack.enter_context(unread_connection(hostile.attacker))
                connection.sendall(build_head(CHAT, len(body)) + body)
            wait_for_metric(hostile.server.url, "llava:num_requests_running", 0, limit_s=60)

    hostile.run("unread streams", attack)


def test_a_flood_of_clients(hostile: Watch) -> None:
    """Overload by design: who is refused is told when to come back; others are answered."""
    body = json.dumps(chat(max_tokens=50, ignore_eos=True)).encode()

    def attack() -> list[Response]:
        with ThreadPoolExecutor(200) as threads:
            sent = [
                threads.submit(hostile.attacker.request, CHAT, body, "connection: close")
                for _ in range(400)
            ]
            return [each.result() for each in sent]

    responses = hostile.run("400 clients", attack)
    assert {each.status for each in responses} <= {200, 429}
    assert all("retry-after" in each.headers for each in responses if each.status == 429)


def unread_connection(attacker: Attacker) -> socket.socket:
    """Open a connection with the smallest buffer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.bind(("127.0.0.2", 0))
    connection.connect(attacker.address)
    return connection


def reset(connection: socket.socket) -> None:
    """End a connection with RST."""
    linger = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def count_silent(attacker: Attacker) -> int:
    """Open connections that say nothing; return how many of them the server has ended."""
    with ExitStack() as stack:
        silent = [stack.enter_context(attacker.connect()) for _ in range(SILENT)]
        ended = 0
        for connection in silent:
            connection.settimeout(10)
            with suppress(TimeoutError):
                ended += connection.recv(1) == b""
        return ended


def drip(attacker: Attacker, head: bytes, pause_s: float, body: bytes = b"") -> Response:
    """Send a head byte by byte, then a body byte ten times a second, until there is a response."""
    with attacker.connect() as connection:
        pieces = [head] if not pause_s else [head[i : i + 1] for i in range(len(head))]
        for piece in pieces:
            with suppress(OSError):
                connection.sendall(piece)
            time.sleep(pause_s)
        received = b""
        deadline = time.monotonic() + 25
        while not received and time.monotonic() < deadline:
            received = transfer(connection, body, deadline_s=0.1)
        return parse_response(received)
