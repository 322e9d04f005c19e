"""Clients that are refused: they wait as told, or try again at once."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from benchmarks.overload import client as client_module
from benchmarks.overload.client import Client, Link, Results, Window
from benchmarks.overload.loads import Patience
from tests.benchmarks.scripted import Script, build_response, response, serve_script

TOKENS = 32
BODY = b'{"messages": []}'


def refuse(*headers: str) -> bytes:
    """Build a 429 with these headers."""
    head, _, body = response({"error": "full"}, "429 Too Many Requests").partition(b"\r\n\r\n")
    return b"\r\n".join([head, *(each.encode() for each in headers)]) + b"\r\n\r\n" + body


def refuse_then_answer(refusals: int, *headers: str) -> Script:
    """Return a script that refuses a few requests, then answers all."""
    seen = 0

    async def script(_: bytes) -> AsyncIterator[bytes]:
        nonlocal seen
        seen += 1
        yield refuse(*headers) if seen <= refusals else build_response("x", TOKENS)

    return script


async def run(
    script: Script, patience: Patience, seconds: float = 0.3, api_key: str | None = None
) -> tuple[Results, list[bytes], int]:
    """Run one client; return its results, the heads that were sent, and the connections."""
    results = Results()
    now = time.perf_counter()
    async with serve_script(script) as received:
        client = Client(received.url, lambda: BODY, patience, results, Link(), api_key)
        await client.run(Window(now, now + seconds))
        client.close()
    return results, received.heads, received.connections


async def test_a_hasty_client_tries_again_at_once() -> None:
    results, heads, connections = await run(refuse_then_answer(3, "retry-after: 9"), Patience.HASTY)
    assert len(results.refusals_s) == 3
    assert results.waits_s == [9, 9, 9]
    assert results.latencies_s
    assert len(heads) >= 4
    assert connections == 1
    assert not results.errors


async def test_a_polite_client_waits_as_long_as_it_is_told() -> None:
    results, heads, _ = await run(
        refuse_then_answer(1, "retry-after: 1"), Patience.POLITE, seconds=1.2
    )
    assert len(results.refusals_s) == 1
    assert results.latencies_s
    impatient, *_ = await run(refuse_then_answer(1, "retry-after: 5"), Patience.POLITE)
    assert not impatient.latencies_s
    assert len(heads) >= 2


@pytest.mark.parametrize(
    "headers", [("retry-after: 9", "retry-after-ms: 20"), ("retry-after-ms: 20", "retry-after: 9")]
)
async def test_milliseconds_are_preferred(headers: tuple[str, ...]) -> None:
    results, *_ = await run(refuse_then_answer(1, *headers), Patience.POLITE)
    assert results.waits_s == [0.02]
    assert results.latencies_s


async def test_without_a_time_it_waits_a_second() -> None:
    results, *_ = await run(refuse_then_answer(9), Patience.POLITE)
    assert results.waits_s == [client_module.DEFAULT_RETRY_S]
    assert not results.latencies_s


async def test_it_connects_anew_where_the_server_hangs_up() -> None:
    results, heads, connections = await run(
        refuse_then_answer(2, "connection: close"), Patience.HASTY
    )
    assert connections == 3
    assert len(heads) >= 3
    assert results.latencies_s


async def test_it_sends_its_key() -> None:
    _, heads, _ = await run(refuse_then_answer(0), Patience.HASTY, api_key="secret")
    assert b"authorization: Bearer secret\r\n" in heads[0]


async def test_other_responses_are_errors() -> None:
    async def script(_: bytes) -> AsyncIterator[bytes]:
        yield response({}, "500 Internal Server Error")

    results, *_ = await run(script, Patience.HASTY)
    assert set(results.errors) == {"status 500"}
    assert not results.latencies_s


async def test_short_answers_are_errors() -> None:
    async def script(_: bytes) -> AsyncIterator[bytes]:
        yield build_response("x", TOKENS - 1)

    results, *_ = await run(script, Patience.HASTY)
    assert set(results.errors) == {"an answer of another length"}


async def test_a_server_that_hangs_up_is_an_error() -> None:
    async def script(_: bytes) -> AsyncIterator[bytes]:
        yield b""
        raise ConnectionAbortedError

    results, _, connections = await run(script, Patience.HASTY)
    assert results.errors.total() == sum(results.errors.values()) > 1
    assert connections > 1


async def test_what_ends_outside_the_window_does_not_count() -> None:
    async def script(body: bytes) -> AsyncIterator[bytes]:
        assert json.loads(body) == {"messages": []}
        await asyncio.sleep(0.2)
        yield build_response("x", TOKENS)

    results, heads, _ = await run(script, Patience.POLITE, seconds=0.1)
    assert len(heads) == 1
    assert not results.latencies_s


async def test_bodies_go_through_the_link_one_after_the_other() -> None:
    link = Link(bytes_per_s=1000)
    started = time.perf_counter()
    await asyncio.gather(*(link.pass_through(100) for _ in range(3)))
    assert time.perf_counter() - started >= 0.2
    await Link().pass_through(100)
