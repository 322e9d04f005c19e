"""What is fetched again and what is not, by HTTP's rules and within the bound."""

from collections.abc import AsyncIterator

import pytest
from hishel import Headers, Request, Response

from server.errors import ImageError
from server.images.fetch.fetcher import Fetcher
from server.images.fetch.http_cache import ENTRY_OVERHEAD_BYTES, MemoryStorage
from tests.server.loopback import build_loopback_options
from tests.server.origin import build_response, respond_with, serve_origin

BODY = b"an image"


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    """Fetch and keep."""
    fetcher = Fetcher(build_loopback_options(max_bytes=10_000, timeout_s=20))
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
async def test_what_may_be_kept(header: str, requests: int, fetcher: Fetcher) -> None:
    async with serve_origin({"/": respond_with(build_response("200 OK", BODY, header))}) as server:
        assert [await fetcher.fetch(f"{server.url}/") for _ in range(3)] == [BODY] * 3
        assert len(server.requests) == requests


async def test_an_etag_is_asked_about(fetcher: Fetcher) -> None:
    headers = ('ETag: "a"', "Cache-Control: max-age=0")
    answers = {"/": respond_with(build_response("200 OK", BODY, *headers))}
    async with serve_origin(answers) as server:
        assert await fetcher.fetch(f"{server.url}/") == BODY
        answers["/"] = respond_with(
            b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nConnection: close\r\n\r\n'
        )
        assert await fetcher.fetch(f"{server.url}/") == BODY
        assert 'if-none-match: "a"' in server.requests[1].lower()
        answers["/"] = respond_with(build_response("200 OK", b"another", 'ETag: "b"'))
        assert await fetcher.fetch(f"{server.url}/") == b"another"


async def test_no_cache_at_all() -> None:
    fetcher = Fetcher(build_loopback_options(max_bytes=1000, timeout_s=20, cache_bytes=0))
    answer = respond_with(build_response("200 OK", BODY, "Cache-Control: max-age=60"))
    async with serve_origin({"/": answer}) as server:
        assert [await fetcher.fetch(f"{server.url}/") for _ in range(2)] == [BODY] * 2
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
async def test_incomplete_bodies_are_not_kept(answer: bytes, fetcher: Fetcher) -> None:
    answers = {"/": respond_with(answer)}
    async with serve_origin(answers) as server:
        with pytest.raises(ImageError):
            await fetcher.fetch(f"{server.url}/")
        answers["/"] = respond_with(build_response("200 OK", BODY))
        assert await fetcher.fetch(f"{server.url}/") == BODY


async def parts(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(size)


async def keep(storage: MemoryStorage, key: str, count: int, size: int) -> int:
    """Store a body and return how much of it was read."""
    request = Request("GET", f"http://images.example/{key}", Headers({}))
    entry = await storage.create_entry(request, Response(200, Headers({}), parts(count, size)), key)
    assert isinstance(entry.response.stream, AsyncIterator)
    return sum([len(part) async for part in entry.response.stream])


async def test_the_bound_holds() -> None:
    bound = 20 * (ENTRY_OVERHEAD_BYTES + 1000)
    storage = MemoryStorage(bound)
    for i in range(100):
        await keep(storage, str(i), 10, 100)
        assert storage.size <= bound
    assert storage.size > bound / 2
    assert await storage.get_entries("0") == []
    (entry,) = await storage.get_entries("99")
    await storage.update_headers(entry.id, Headers({"x": "y" * 500}))
    (changed,) = await storage.get_entries("99")
    assert changed.response.headers["x"] == "y" * 500
    await storage.update_headers(entry.id, Headers({"x": "y" * bound}))
    assert await storage.get_entries("99") == []
    await storage.remove_entry(entry.id)


async def test_what_is_too_long_passes_and_is_not_kept() -> None:
    storage = MemoryStorage(100_000)
    assert await keep(storage, "a", 1000, 1000) == 1_000_000
    assert await keep(storage, "b", 1, 25_001) == 25_001
    assert storage.size == 0
    await keep(storage, "c", 1, 10_000)
    (entry,) = await storage.get_entries("c")
    await storage.remove_entry(entry.id)
    assert storage.size == 0
