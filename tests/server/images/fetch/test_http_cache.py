"""Caching by the rules of HTTP, within the byte limit."""

from collections.abc import AsyncIterator

import pytest
from hishel import Headers, Request, Response

from server.images.fetch.errors import FetchError
from server.images.fetch.fetcher import Fetcher
from server.images.fetch.http_cache import ENTRY_OVERHEAD_BYTES, MemoryStorage
from tests.server.loopback import build_loopback_options
from tests.server.origin import build_response, respond_with, serve_origin

BODY = b"an image"


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    """Return a fetcher with a cache."""
    options = build_loopback_options(max_bytes=10_000, timeout_s=20)
    fetcher = Fetcher(options, cache=MemoryStorage(1_000_000))
    yield fetcher
    await fetcher.close()


@pytest.mark.parametrize(
    ("header", "requests"),
    [
        *[("Cache-Control: max-age=60", 1), ("Cache-Control: s-maxage=60", 1)],
        *[("Cache-Control: no-store", 3), ("Cache-Control: private, max-age=60", 3)],
        *[("Cache-Control: no-cache", 3), ("Cache-Control: max-age=0", 3), ("X-Nothing: 1", 3)],
    ],
)
async def test_cache_control(header: str, requests: int, fetcher: Fetcher) -> None:
    async with serve_origin({"/": respond_with(build_response("200 OK", BODY, header))}) as server:
        assert [await fetcher.fetch(f"{server.url}/", "") for _ in range(3)] == [BODY] * 3
        assert len(server.requests) == requests


async def test_an_etag_is_revalidated(fetcher: Fetcher) -> None:
    headers = ('ETag: "a"', "Cache-Control: max-age=0")
    answers = {"/": respond_with(build_response("200 OK", BODY, *headers))}
    async with serve_origin(answers) as server:
        assert await fetcher.fetch(f"{server.url}/", "") == BODY
        answers["/"] = respond_with(
            b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nConnection: close\r\n\r\n'
        )
        assert await fetcher.fetch(f"{server.url}/", "") == BODY
        assert 'if-none-match: "a"' in server.requests[1].lower()
        answers["/"] = respond_with(build_response("200 OK", b"another", 'ETag: "b"'))
        assert await fetcher.fetch(f"{server.url}/", "") == b"another"


async def test_without_a_cache_nothing_is_stored() -> None:
    fetcher = Fetcher(build_loopback_options(max_bytes=1000, timeout_s=20))
    answer = respond_with(build_response("200 OK", BODY, "Cache-Control: max-age=60"))
    async with serve_origin({"/": answer}) as server:
        assert [await fetcher.fetch(f"{server.url}/", "") for _ in range(2)] == [BODY] * 2
        assert len(server.requests) == 2
    await fetcher.close()


@pytest.mark.parametrize(
    "answer",
    [
        build_response("200 OK", bytes(20_000), "Cache-Control: max-age=60"),
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 9\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na",
    ],
)
async def test_incomplete_bodies_are_not_stored(answer: bytes, fetcher: Fetcher) -> None:
    answers = {"/": respond_with(answer)}
    async with serve_origin(answers) as server:
        with pytest.raises(FetchError):
            await fetcher.fetch(f"{server.url}/", "")
        answers["/"] = respond_with(build_response("200 OK", BODY))
        assert await fetcher.fetch(f"{server.url}/", "") == BODY


async def stream_chunks(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(size)


async def store(storage: MemoryStorage, key: str, count: int, size: int) -> int:
    """Store a body and return the number of bytes read."""
    request = Request("GET", f"http://images.example/{key}", Headers({}))
    entry = await storage.create_entry(
        request, Response(200, Headers({}), stream_chunks(count, size)), key
    )
    assert isinstance(entry.response.stream, AsyncIterator)
    return sum([len(chunk) async for chunk in entry.response.stream])


async def test_the_byte_limit_holds() -> None:
    max_bytes = 20 * (ENTRY_OVERHEAD_BYTES + 1000)
    storage = MemoryStorage(max_bytes)
    for i in range(100):
        await store(storage, str(i), 10, 100)
        assert storage.size <= max_bytes
    assert storage.size > max_bytes / 2
    assert await storage.get_entries("0") == []
    (entry,) = await storage.get_entries("99")
    await storage.update_headers(entry.id, Headers({"x": "y" * 500}))
    (changed,) = await storage.get_entries("99")
    assert changed.response.headers["x"] == "y" * 500
    await storage.update_headers(entry.id, Headers({"x": "y" * max_bytes}))
    assert await storage.get_entries("99") == []
    await storage.remove_entry(entry.id)


async def test_a_body_that_is_too_large_passes_unstored() -> None:
    storage = MemoryStorage(100_000)
    assert await store(storage, "a", 1000, 1000) == 1_000_000
    assert await store(storage, "b", 1, 25_001) == 25_001
    assert storage.size == 0
    await store(storage, "c", 1, 10_000)
    (entry,) = await storage.get_entries("c")
    await storage.remove_entry(entry.id)
    assert storage.size == 0


async def test_partitions_share_no_responses(fetcher: Fetcher) -> None:
    answer = respond_with(build_response("200 OK", BODY, "Cache-Control: max-age=60"))
    async with serve_origin({"/": answer}) as server:
        for partition in ("a", "b", "a", "", "b", ""):
            assert await fetcher.fetch(f"{server.url}/", partition) == BODY
        assert len(server.requests) == 3
