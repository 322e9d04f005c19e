"""The load's HTTP client, against a server that splits its writes."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

import pytest

from benchmarks.client import Connection, TimedResponse, connect
from tests.benchmarks.scripted import (
    DONE,
    STREAM_END,
    STREAM_HEAD,
    Script,
    build_response,
    chunk,
    event,
    response,
    serve_script,
    usage,
)

ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""},"index":0}]}\n\n'


class Noting(Connection):
    """A connection that counts the bytes read."""

    def __init__(self) -> None:
        super().__init__()
        self._read = 0
        self._more = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Count the data."""
        super().data_received(data)
        self._read += len(data)
        self._more.set()

    async def has_read(self, size: int) -> None:
        """Wait until this many bytes are read."""
        while self._read < size:
            self._more.clear()
            await self._more.wait()


def saying(*parts: bytes) -> Script:
    """Return a script that answers every request with these parts."""

    async def script(_: bytes) -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    return script


async def answer_to(*parts: bytes) -> TimedResponse:
    """Return a client's response to these writes."""
    async with serve_script(saying(*parts)) as asked:
        connection = await connect(asked.url)
        try:
            return await connection.post(asked.url, b"{}")
        finally:
            connection.close()


async def answers_read_apart(
    answers: Sequence[Sequence[bytes]],
) -> tuple[list[TimedResponse], list[float]]:
    """Return responses whose parts are each read before the next is sent, and the read times."""
    loop, connected = asyncio.get_running_loop(), asyncio.Event()
    clients: list[Noting] = []
    read_at: list[float] = []
    written = 0
    scripts = iter(answers)

    async def script(_: bytes) -> AsyncIterator[bytes]:
        nonlocal written
        await connected.wait()
        for part in next(scripts):
            yield part
            written += len(part)
            await clients[0].has_read(written)
            read_at.append(time.perf_counter())

    async with serve_script(script) as asked:
        parts = urlsplit(asked.url)
        assert parts.hostname
        assert parts.port
        _, client = await loop.create_connection(Noting, parts.hostname, parts.port)
        clients.append(client)
        connected.set()
        try:
            return [await client.post(asked.url, b"{}") for _ in answers], read_at
        finally:
            client.close()


async def read_apart(*parts: bytes) -> tuple[TimedResponse, list[float]]:
    """Return one such response."""
    answers, read_at = await answers_read_apart([parts])
    return answers[0], read_at


def stream(*events: bytes) -> bytes:
    """Build a streamed response, one event per chunk."""
    return STREAM_HEAD + b"".join(map(chunk, (*events, DONE))) + STREAM_END


async def test_a_whole_answer() -> None:
    begun = time.perf_counter()
    answer = await answer_to(build_response('A "red" star,\n\ndata: x', 7))
    assert (answer.status, answer.text) == (200, 'A "red" star,\n\ndata: x')
    assert answer.completion_tokens == 7
    assert answer.text_times == []
    assert begun <= answer.sent_at <= answer.ended_at <= time.perf_counter()


async def test_a_whole_answer_in_pieces() -> None:
    data = build_response("A red star.", 7)
    answer, _ = await read_apart(*(data[start : start + 10] for start in range(0, len(data), 10)))
    assert (answer.text, answer.completion_tokens) == ("A red star.", 7)


async def test_an_error_keeps_its_status_and_body() -> None:
    answer = await answer_to(response({"error": "no"}, "400 Bad Request"))
    assert (answer.status, answer.body) == (400, b'{"error": "no"}')


@pytest.mark.parametrize("spaced", [False, True])
async def test_a_stream_has_a_time_for_each_event_with_text(spaced: bool) -> None:
    events = [event(text, spaced=spaced) for text in ("A", " red", '"', "\n\n", "☃")]
    answer = await answer_to(stream(ROLE, *events, event(None), usage(5)))
    assert answer.status == 200
    assert len(answer.text_times) == 5
    assert answer.text_times == sorted(answer.text_times)
    assert answer.sent_at < answer.text_times[0]
    assert answer.text_times[-1] <= answer.ended_at
    assert answer.completion_tokens == 5


@pytest.mark.parametrize("spaced", [False, True])
async def test_events_without_text_do_not_count(spaced: bool) -> None:
    events = (event("", spaced=spaced), event(None, spaced=spaced), event("x", spaced=spaced))
    answer = await answer_to(stream(ROLE, *events, *events, usage(2)))
    assert len(answer.text_times) == 2


async def test_an_event_counts_when_its_end_is_read() -> None:
    first, second = chunk(event("A")), chunk(event(" star"))
    parts = (STREAM_HEAD, first[:30], first[30:], second[:-3], second[-3:])
    answer, read_at = await read_apart(*parts, chunk(usage(2)), chunk(DONE) + STREAM_END)
    assert len(answer.text_times) == 2
    assert read_at[1] <= answer.text_times[0] <= read_at[2]
    assert read_at[3] <= answer.text_times[1] <= read_at[4]
    assert answer.completion_tokens == 2


@pytest.mark.parametrize("chunks", [1, 2])
async def test_two_events_in_one_write_both_count(chunks: int) -> None:
    events = (event("A"), event(" star", spaced=True))
    written = chunk(b"".join(events)) if chunks == 1 else b"".join(map(chunk, events))
    answer, read_at = await read_apart(
        STREAM_HEAD, written, chunk(event(".")), chunk(usage(3)) + STREAM_END
    )
    assert len(answer.text_times) == 3
    assert read_at[0] <= answer.text_times[0] <= answer.text_times[1] <= read_at[1]
    assert read_at[1] <= answer.text_times[2] <= read_at[2]


async def test_an_event_across_chunks() -> None:
    data = event("A") + event(" star")
    answer, _ = await read_apart(
        STREAM_HEAD,
        chunk(data[:20]),
        chunk(data[20:-1]),
        chunk(data[-1:]),
        chunk(usage(2)),
        STREAM_END,
    )
    assert len(answer.text_times) == 2


async def test_a_stream_split_anywhere_is_the_same() -> None:
    data = stream(ROLE, event("A"), event(" star", spaced=True), usage(2))
    places = range(1, len(data))
    answers, _ = await answers_read_apart([(data[:place], data[place:]) for place in places])
    assert {each.completion_tokens for each in answers} == {2}
    found = {place: len(each.text_times) for place, each in zip(places, answers, strict=True)}
    assert {place: count for place, count in found.items() if count != 2} == {}


async def test_a_stream_without_text_has_usage() -> None:
    answer = await answer_to(stream(ROLE, event(""), usage(8)))
    assert answer.completion_tokens == 8


async def test_usage_of_a_long_stream() -> None:
    answer = await answer_to(stream(*(event("word ") for _ in range(500)), usage(500)))
    assert len(answer.text_times) == 500
    assert answer.completion_tokens == 500


async def test_a_stream_without_usage_is_an_error() -> None:
    answer = await answer_to(stream(event("A")))
    with pytest.raises(ValueError, match="without usage"):
        _ = answer.completion_tokens


async def test_one_connection_serves_request_after_request() -> None:
    replies = iter(
        [stream(event("A"), usage(1)), build_response("B", 2), stream(event("C"), usage(3))]
    )

    async def script(_: bytes) -> AsyncIterator[bytes]:
        yield next(replies)

    async with serve_script(script) as asked:
        connection = await connect(asked.url)
        answers = [await connection.post(asked.url, body) for body in (b"1", b"2", b"3")]
        connection.close()
        assert asked.connections == 1
        assert asked.bodies == [b"1", b"2", b"3"]
    assert [each.completion_tokens for each in answers] == [1, 2, 3]
    assert [len(each.text_times) for each in answers] == [1, 0, 1]
    assert answers[1].text == "B"
    assert answers[0].ended_at <= answers[1].sent_at


async def test_a_large_body_arrives_whole_with_its_head() -> None:
    body = b"[" + b"0123456789" * 200_000 + b"]"
    async with serve_script(saying(build_response("", 0))) as asked:
        connection = await connect(asked.url)
        await connection.post(asked.url, body)
        connection.close()
        lines = asked.heads[0].decode().split("\r\n")
        assert lines[0] == "POST /v1/chat/completions HTTP/1.1"
        assert f"host: {urlsplit(asked.url).netloc}" in lines
        assert "content-type: application/json" in lines
        assert asked.bodies == [body]


@pytest.mark.parametrize(
    "begun",
    [b"", STREAM_HEAD, STREAM_HEAD + chunk(event("A")), build_response("A red star.", 7)[:-5]],
    ids=["at once", "after the head", "after an event", "within the body"],
)
async def test_a_hang_up_is_an_error(begun: bytes) -> None:
    async def script(_: bytes) -> AsyncIterator[bytes]:
        yield begun
        raise ConnectionAbortedError

    async with serve_script(script) as asked:
        connection = await connect(asked.url)
        with pytest.raises(ConnectionError, match="hung up"):
            await connection.post(asked.url, b"{}")
        with pytest.raises(ConnectionError, match="closed"):
            await connection.post(asked.url, b"{}")


async def test_what_is_no_http_is_an_error() -> None:
    with pytest.raises(ConnectionError):
        await answer_to(b"220 mail.example.org ready\r\n\r\n")


async def test_a_closed_connection_sends_nothing() -> None:
    async with serve_script(saying(build_response("", 0))) as asked:
        connection = await connect(asked.url)
        connection.close()
        with pytest.raises(ConnectionError, match="closed"):
            await connection.post(asked.url, b"{}")
        assert asked.bodies == []


async def test_nobody_listens() -> None:
    async with serve_script(saying()) as asked:
        url = asked.url
    with pytest.raises(ConnectionRefusedError):
        await connect(url)
