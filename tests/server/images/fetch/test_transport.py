"""The limit on requests per host, and closed keep-alive connections."""

import asyncio

import pytest

from server.images.fetch.errors import FetchError
from server.images.fetch.fetcher import Fetcher
from tests.server.loopback import build_loopback_options
from tests.server.origin import build_response, respond_with, serve_origin

BODY = b"an image"


async def test_requests_per_host_are_limited() -> None:
    running, max_running = 0, 0

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal running, max_running
        running += 1
        max_running = max(max_running, running)
        for _step in range(20):
            await asyncio.sleep(0)
        running -= 1
        writer.write(build_response("200 OK", BODY))
        await writer.drain()

    fetcher = Fetcher(build_loopback_options(max_bytes=1000, timeout_s=20, connections_per_host=2))
    async with serve_origin({f"/{i}": slow for i in range(10)}) as server:
        fetches = (fetcher.fetch(f"{server.url}/{i}", "") for i in range(10))
        assert await asyncio.gather(*fetches) == [BODY] * 10
    await fetcher.close()
    assert max_running == 2


async def test_a_failed_fetch_releases_its_slot() -> None:
    fetcher = Fetcher(build_loopback_options(max_bytes=1000, timeout_s=20, connections_per_host=1))
    answers = {
        "/bad": respond_with(b"junk\r\n\r\n"),
        "/long": respond_with(build_response("200 OK", bytes(2000))),
    }
    async with serve_origin(
        {**answers, "/": respond_with(build_response("200 OK", BODY))}
    ) as server:
        for path in ("bad", "long", "bad"):
            with pytest.raises(FetchError):
                await fetcher.fetch(f"{server.url}/{path}", "")
        assert await fetcher.fetch(f"{server.url}/", "") == BODY
    await fetcher.close()


async def test_a_closed_keep_alive_connection_is_retried() -> None:
    keep_alive_response = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + BODY

    async def respond_and_hang_up(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(keep_alive_response)
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")  # the next request gets no response

    fetcher = Fetcher(build_loopback_options(max_bytes=1000, timeout_s=20))
    async with serve_origin(
        {"/": respond_and_hang_up, "/b": respond_with(build_response("200 OK", BODY))}
    ) as server:
        assert await fetcher.fetch(f"{server.url}/", "") == BODY
        assert await fetcher.fetch(f"{server.url}/b", "") == BODY
    await fetcher.close()
