"""The limit on requests per host, and closed keep-alive connections."""

import asyncio

import pytest

from server.errors import ImageError
from server.images.fetch.fetcher import Fetcher
from tests.server.loopback import build_loopback_options
from tests.server.origin import build_response, respond_with, serve_origin

BODY = b"an image"


async def test_one_host_has_so_many_turns() -> None:
    running, most = 0, 0

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _step in range(20):
            await asyncio.sleep(0)
        running -= 1
        writer.write(build_response("200 OK", BODY))
        await writer.drain()

    fetcher = Fetcher(build_loopback_options(max_bytes=1000, timeout_s=20, connections_per_host=2))
    async with serve_origin({f"/{i}": slow for i in range(10)}) as server:
        fetches = (fetcher.fetch(f"{server.url}/{i}") for i in range(10))
        assert await asyncio.gather(*fetches) == [BODY] * 10
    await fetcher.close()
    assert most == 2


async def test_a_failed_fetch_gives_its_turn_back() -> None:
    fetcher = Fetcher(build_loopback_options(max_bytes=1000, timeout_s=20, connections_per_host=1))
    answers = {
        "/bad": respond_with(b"junk\r\n\r\n"),
        "/long": respond_with(build_response("200 OK", bytes(2000))),
    }
    async with serve_origin(
        {**answers, "/": respond_with(build_response("200 OK", BODY))}
    ) as server:
        for path in ("bad", "long", "bad"):
            with pytest.raises(ImageError):
                await fetcher.fetch(f"{server.url}/{path}")
        assert await fetcher.fetch(f"{server.url}/") == BODY
    await fetcher.close()


async def test_a_kept_connection_that_ended_is_made_anew() -> None:
    kept = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + BODY

    async def then_hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(kept)
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")  # the next request, which stays without an answer

    fetcher = Fetcher(build_loopback_options(max_bytes=1000, timeout_s=20))
    async with serve_origin(
        {"/": then_hang_up, "/b": respond_with(build_response("200 OK", BODY))}
    ) as server:
        assert await fetcher.fetch(f"{server.url}/") == BODY
        assert await fetcher.fetch(f"{server.url}/b") == BODY
    await fetcher.close()
