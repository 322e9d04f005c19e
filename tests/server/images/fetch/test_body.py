"""Response bodies: the byte limit and content encodings."""

import asyncio
import gzip
import zlib

import pytest

from server.images.fetch.errors import DataTooLarge, FetchFailed
from server.images.fetch.fetcher import Fetcher
from tests.server.images.fetch.fetching import BODY, LIMIT, expect_error
from tests.server.origin import Responder, build_response, respond_with, serve_origin


async def test_a_body_of_exactly_the_limit(fetcher: Fetcher) -> None:
    async with serve_origin({"/": respond_with(build_response("200 OK", bytes(LIMIT)))}) as server:
        assert await fetcher.fetch(f"{server.url}/", "") == bytes(LIMIT)


def build_endless_responder(head: bytes, chunk: bytes) -> tuple[Responder, asyncio.Event]:
    """Return a responder that writes until the client disconnects, and the event of that."""
    disconnected = asyncio.Event()

    async def respond(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        try:
            while True:
                writer.write(chunk)
                await writer.drain()
                await asyncio.sleep(0)
        except ConnectionError:
            disconnected.set()

    return respond, disconnected


async def test_too_many_bytes_by_content_length(fetcher: Fetcher) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
    responder, disconnected = build_endless_responder(head, b"x" * 100)
    async with serve_origin({"/": responder}) as server:
        error = await expect_error(fetcher, f"{server.url}/")
        assert type(error) is DataTooLarge
        assert str(LIMIT) in str(error)
        await disconnected.wait()


async def test_too_many_bytes_in_chunks(fetcher: Fetcher) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    responder, disconnected = build_endless_responder(head, b"a\r\n0123456789\r\n")
    async with serve_origin({"/": responder}) as server:
        assert type(await expect_error(fetcher, f"{server.url}/")) is DataTooLarge
        await disconnected.wait()


async def test_too_many_bytes_until_the_connection_closes(fetcher: Fetcher) -> None:
    responder, disconnected = build_endless_responder(b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 100)
    async with serve_origin({"/": responder}) as server:
        assert type(await expect_error(fetcher, f"{server.url}/")) is DataTooLarge
        await disconnected.wait()


async def test_one_byte_too_many(fetcher: Fetcher) -> None:
    async with serve_origin(
        {"/": respond_with(build_response("200 OK", bytes(LIMIT + 1)))}
    ) as server:
        assert type(await expect_error(fetcher, f"{server.url}/")) is DataTooLarge


def compress(encoding: str, data: bytes) -> bytes:
    """Compress by an encoding, or as some servers misunderstand it."""
    if encoding == "raw deflate":
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return compressor.compress(data) + compressor.flush()
    return gzip.compress(data) if "gzip" in encoding else zlib.compress(data)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "deflate", "raw deflate"])
async def test_compressed_responses_are_decompressed_although_not_requested(
    encoding: str, fetcher: Fetcher
) -> None:
    header = f"Content-Encoding: {encoding.split()[-1]}"
    data = build_response("200 OK", compress(encoding.lower(), BODY), header)
    async with serve_origin({"/": respond_with(data)}) as server:
        assert await fetcher.fetch(f"{server.url}/", "") == BODY
        assert "accept-encoding: identity" in server.requests[0].lower()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate"])
async def test_a_decompression_bomb_is_too_large(encoding: str, fetcher: Fetcher) -> None:
    bomb = compress(encoding, bytes(100 * LIMIT))
    assert len(bomb) < LIMIT
    header = f"Content-Encoding: {encoding.split()[-1]}"
    async with serve_origin({"/": respond_with(build_response("200 OK", bomb, header))}) as server:
        assert type(await expect_error(fetcher, f"{server.url}/")) is DataTooLarge


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        *[("br", BODY), ("gzip, gzip", BODY), ("zstd", BODY), ("gzip", BODY), ("gzip", b"")],
        *[("gzip", gzip.compress(BODY)[:-9]), ("deflate", zlib.compress(BODY)[:-1])],
    ],
)
async def test_unsupported_and_broken_encodings(
    encoding: str, data: bytes, fetcher: Fetcher
) -> None:
    answer = build_response("200 OK", data, f"Content-Encoding: {encoding}")
    async with serve_origin({"/": respond_with(answer)}) as server:
        assert type(await expect_error(fetcher, f"{server.url}/")) is FetchFailed
