"""Fetching: `data:` URLs in memory, http from a real server on the loopback."""

import asyncio
import base64
import gzip
import socket
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import ImageError, ImageFetchFailed, ImageTooLarge, ImageUrlInvalid
from server.images.fetch.data_url import MAX_INLINE_BASE64_CHARACTERS
from server.images.fetch.fetcher import MAX_REDIRECTS, Fetcher
from tests.server.loopback import local_options
from tests.server.origin import Answer, canned, origin, response

LIMIT = 1000
BODY = bytes(range(200))


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    """Fetch at most 1000 bytes, with time to spare."""
    fetcher = Fetcher(local_options(max_bytes=LIMIT, timeout_s=20))
    yield fetcher
    await fetcher.close()


@pytest.fixture(scope="module")
def offline() -> Fetcher:
    """Read `data:` URLs only, so that no event loop owns a connection."""
    return Fetcher(local_options(max_bytes=LIMIT, timeout_s=20))


@pytest.fixture
async def hasty() -> AsyncIterator[Fetcher]:
    """Fetch at most 1000 bytes within an instant."""
    fetcher = Fetcher(local_options(max_bytes=LIMIT, timeout_s=0.2))
    yield fetcher
    await fetcher.close()


async def failure(fetcher: Fetcher, url: str) -> ImageError:
    """Return the error of a fetch, which tells the client nothing of our insides."""
    with pytest.raises(ImageError) as caught:
        await fetcher.fetch(url)
    error = caught.value
    assert error.param is None
    assert error.__suppress_context__ or error.__context__ is None
    for internal in ("127.0.0.1", "Errno", "httpx", "Connect", "Exception", "::"):
        assert internal not in error.message
    return error


# data: URLs


@pytest.mark.parametrize(
    "header",
    [
        "data:image/png;base64",
        "DATA:IMAGE/PNG;BASE64",
        "Data:image/jpeg;Base64",
        "data:;base64",
        "data:text/plain;base64",  # what the bytes are decides, not what they are called
        "data:image/png;charset=utf-8;base64",
    ],
)
async def test_data_url(header: str, offline: Fetcher) -> None:
    assert await offline.fetch(f"{header},{base64.b64encode(BODY).decode()}") == BODY


async def test_empty_data_url_is_empty_bytes(offline: Fetcher) -> None:
    assert await offline.fetch("data:image/png;base64,") == b""


def test_any_bytes_under_the_limit_pass() -> None:
    with asyncio.Runner() as runner:
        fetcher = Fetcher(local_options(max_bytes=LIMIT, timeout_s=20))

        @settings(max_examples=50)
        @given(st.binary(max_size=LIMIT))
        def check(data: bytes) -> None:
            url = f"data:;base64,{base64.b64encode(data).decode()}"
            assert runner.run(fetcher.fetch(url)) == data

        check()
        runner.run(fetcher.close())


async def test_a_large_data_url_is_decoded_off_the_event_loop() -> None:
    data = b"\x01\x02\x03\x04" * MAX_INLINE_BASE64_CHARACTERS
    fetcher = Fetcher(local_options(max_bytes=len(data) + 1, timeout_s=20))
    assert await fetcher.fetch(f"data:;base64,{base64.b64encode(data).decode()}") == data
    broken = f"data:;base64,{base64.b64encode(data).decode()[:-1]}!"
    assert type(await failure(fetcher, broken)) is ImageUrlInvalid
    await fetcher.close()


@pytest.mark.parametrize(
    "url",
    [
        "data:",
        "data:,",
        "data:image/png",
        "data:image/png;base64",
        "data:image/png,AAAA",
        "data:image/png;base64;charset=utf-8,AAAA",
        "data:image/png;base46,AAAA",
        "data:image/png; base64,AAAA",
        "data:image/png;base64 ,AAAA",
        "data:image/png;base64,A",
        "data:image/png;base64,AA",
        "data:image/png;base64,AAA",
        "data:image/png;base64,A===",
        "data:image/png;base64,AA==AA==",
        "data:image/png;base64,AA=A",
        "data:image/png;base64,AA==\n",
        "data:image/png;base64, AA==",
        "data:image/png;base64,AA\nAA",
        "data:image/png;base64,AA%2B=",
        "data:image/png;base64,AA-_",
        "data:image/png;base64,AAA\u00e9",
        "data:image/png;base64,AA\x00A",
        "data:image/png;base64,{…}",
    ],
)
async def test_broken_data_url(url: str, offline: Fetcher) -> None:
    assert type(await failure(offline, url)) is ImageUrlInvalid


@pytest.mark.parametrize(
    "url",
    [
        *["", "cat.png", "/etc/passwd", "ftp://example.org/cat.png"],
        *["http:/example.org", "http:example.org", "//example.org/cat.png", "gopher://x", "datax:"],
        *[" http://example.org/", " data:;base64,AAAA", "blob:http://example.org/1", "AAAA"],
    ],
)
async def test_other_schemes(url: str, offline: Fetcher) -> None:
    assert type(await failure(offline, url)) is ImageUrlInvalid


async def test_a_data_url_over_the_limit_is_refused_before_it_is_decoded(offline: Fetcher) -> None:
    # It is not base64 at all, so it cannot have been decoded.
    error = await failure(offline, "data:;base64," + "!" * (LIMIT * 2))
    assert type(error) is ImageTooLarge
    assert str(LIMIT) in error.message


@pytest.mark.parametrize("limit", [996, 997, 998, 999, 1000])
async def test_a_data_url_of_just_the_limit_passes(limit: int) -> None:
    fetcher = Fetcher(local_options(max_bytes=limit, timeout_s=20))
    data = bytes(limit)
    assert await fetcher.fetch(f"data:;base64,{base64.b64encode(data).decode()}") == data
    over = f"data:;base64,{base64.b64encode(bytes(limit + 1)).decode()}"
    assert type(await failure(fetcher, over)) is ImageTooLarge
    await fetcher.close()


# http


async def test_http(fetcher: Fetcher) -> None:
    async with origin({"/cat": canned(response("200 OK", BODY))}) as server:
        assert await fetcher.fetch(f"{server.url}/cat") == BODY
        assert await fetcher.fetch(f"{server.url.upper()}/cat") == BODY
        assert "user-agent: llava-server\r\n" in server.requests[0].lower()
        assert "accept: image/*\r\n" in server.requests[0].lower()


async def test_http_of_just_the_limit(fetcher: Fetcher) -> None:
    async with origin({"/": canned(response("200 OK", bytes(LIMIT)))}) as server:
        assert await fetcher.fetch(f"{server.url}/") == bytes(LIMIT)


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "500 Oops", "304 Same"])
async def test_http_refusals_are_told_by_number(status: str, fetcher: Fetcher) -> None:
    async with origin({"/": canned(response(status, b"secret page"))}) as server:
        error = await failure(fetcher, f"{server.url}/")
    assert type(error) is ImageFetchFailed
    assert error.message == f"The image's server answered {status[:3]}."


async def test_redirects_are_followed(fetcher: Fetcher) -> None:
    answers = {f"/{i}": canned(response("302 Found", b"", f"Location: /{i + 1}")) for i in range(9)}
    answers[f"/{MAX_REDIRECTS}"] = canned(response("200 OK", BODY))
    async with origin(answers) as server:
        assert await fetcher.fetch(f"{server.url}/0") == BODY


async def test_redirects_without_end(fetcher: Fetcher) -> None:
    answers = {"/": canned(response("302 Found", b"", "Location: /"))}
    async with origin(answers) as server:
        assert type(await failure(fetcher, f"{server.url}/")) is ImageFetchFailed
        assert len(server.requests) == MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "data:image/png;base64,AAAA", "http://[", "ftp://127.0.0.1/"]
)
async def test_redirects_lead_only_to_http(location: str, fetcher: Fetcher) -> None:
    answers = {"/": canned(response("302 Found", b"", f"Location: {location}"))}
    async with origin(answers) as server:
        assert type(await failure(fetcher, f"{server.url}/")) is ImageFetchFailed


async def test_a_redirect_to_nowhere(fetcher: Fetcher) -> None:
    async with origin({"/": canned(response("302 Found"))}) as server:
        error = await failure(fetcher, f"{server.url}/")
        assert error.message == "The image's server answered 302."


def endless(head: bytes, part: bytes) -> tuple[Answer, asyncio.Event]:
    """Return an answer that goes on until the client leaves, and the event that tells of it."""
    left = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        try:
            while True:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
        except ConnectionError:
            left.set()

    return answer, left


async def test_too_many_bytes_by_content_length(fetcher: Fetcher) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
    answer, left = endless(head, b"x" * 100)
    async with origin({"/": answer}) as server:
        error = await failure(fetcher, f"{server.url}/")
        assert type(error) is ImageTooLarge
        assert str(LIMIT) in error.message
        await left.wait()


async def test_too_many_bytes_in_chunks(fetcher: Fetcher) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer, left = endless(head, b"a\r\n0123456789\r\n")
    async with origin({"/": answer}) as server:
        assert type(await failure(fetcher, f"{server.url}/")) is ImageTooLarge
        await left.wait()


async def test_too_many_bytes_until_the_connection_closes(fetcher: Fetcher) -> None:
    answer, left = endless(b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 100)
    async with origin({"/": answer}) as server:
        assert type(await failure(fetcher, f"{server.url}/")) is ImageTooLarge
        await left.wait()


async def test_one_byte_too_many(fetcher: Fetcher) -> None:
    async with origin({"/": canned(response("200 OK", bytes(LIMIT + 1)))}) as server:
        assert type(await failure(fetcher, f"{server.url}/")) is ImageTooLarge


def packed(encoding: str, data: bytes) -> bytes:
    """Pack as the encoding says, or as some servers think that it does."""
    if encoding == "raw deflate":
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(data) + packer.flush()
    return gzip.compress(data) if "gzip" in encoding else zlib.compress(data)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "deflate", "raw deflate"])
async def test_packed_answers_are_not_asked_for_and_unpacked_all_the_same(
    encoding: str, fetcher: Fetcher
) -> None:
    header = f"Content-Encoding: {encoding.split()[-1]}"
    data = response("200 OK", packed(encoding.lower(), BODY), header)
    async with origin({"/": canned(data)}) as server:
        assert await fetcher.fetch(f"{server.url}/") == BODY
        assert "accept-encoding: identity" in server.requests[0].lower()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate"])
async def test_a_bomb_does_not_go_off(encoding: str, fetcher: Fetcher) -> None:
    bomb = packed(encoding, bytes(100 * LIMIT))
    assert len(bomb) < LIMIT
    header = f"Content-Encoding: {encoding.split()[-1]}"
    async with origin({"/": canned(response("200 OK", bomb, header))}) as server:
        assert type(await failure(fetcher, f"{server.url}/")) is ImageTooLarge


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        *[("br", BODY), ("gzip, gzip", BODY), ("zstd", BODY), ("gzip", BODY), ("gzip", b"")],
        *[("gzip", gzip.compress(BODY)[:-9]), ("deflate", zlib.compress(BODY)[:-1])],
    ],
)
async def test_other_and_broken_encodings(encoding: str, data: bytes, fetcher: Fetcher) -> None:
    answer = response("200 OK", data, f"Content-Encoding: {encoding}")
    async with origin({"/": canned(answer)}) as server:
        assert type(await failure(fetcher, f"{server.url}/")) is ImageFetchFailed


def silent(before: bytes) -> Answer:
    """Answer so much and then nothing more, without closing."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        await writer.drain()
        await reader.read()  # until the client leaves

    return answer


@pytest.mark.parametrize(
    "before", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"]
)
async def test_a_server_that_falls_silent(before: bytes, hasty: Fetcher) -> None:
    async with origin({"/": silent(before)}) as server:
        error = await failure(hasty, f"{server.url}/")
    assert type(error) is ImageFetchFailed
    assert error.message == "The image could not be fetched within 0.2 seconds."


async def test_a_server_that_drips(hasty: Fetcher) -> None:
    """The time limit holds for the whole: no single pause reaches it."""

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with origin({"/": drip}) as server:
        error = await failure(hasty, f"{server.url}/")
    assert "within 0.2 seconds" in error.message


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 nonsense\r\n\r\n",
    ],
)
async def test_a_server_that_breaks_off_or_speaks_no_http(answer: bytes, fetcher: Fetcher) -> None:
    async with origin({"/": canned(answer)}) as server:
        error = await failure(fetcher, f"{server.url}/")
    assert type(error) is ImageFetchFailed
    assert error.message == "The image could not be fetched."


async def test_connection_refused(fetcher: Fetcher) -> None:
    with socket.socket() as bound:  # and not listening: the port is ours and closed
        bound.bind(("127.0.0.1", 0))
        error = await failure(fetcher, f"http://127.0.0.1:{bound.getsockname()[1]}/")
    assert type(error) is ImageFetchFailed


async def test_https_speaks_tls_first(fetcher: Fetcher) -> None:
    first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first.set_result(await reader.read(1))
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert type(await failure(fetcher, f"HTTPS://127.0.0.1:{port}/")) is ImageFetchFailed
        assert await first == b"\x16"  # a TLS handshake, and no request in clear text


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    fetcher = Fetcher(local_options(max_bytes=LIMIT, timeout_s=20))
    async with origin({"/": canned(response("200 OK", BODY))}) as server:
        assert await fetcher.fetch(f"{server.url}/") == BODY
    await fetcher.close()


async def test_a_cancelled_fetch_leaves_its_server(fetcher: Fetcher) -> None:
    left = asyncio.Event()
    arrived = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        arrived.set()
        assert await reader.read() == b""
        left.set()

    async with origin({"/": wait}) as server:
        fetching = asyncio.create_task(fetcher.fetch(f"{server.url}/"))
        await arrived.wait()
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        await left.wait()


def url_tail() -> st.SearchStrategy[str]:
    """Return what may follow `http://`: text of any kind, or of a URL's own characters."""
    return st.text(max_size=40) | st.text("ab:/@[]%?#.- \\\x00é1", max_size=40)


async def _unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no such host", request=request)


def test_no_url_breaks_more_than_itself() -> None:
    """With a network in which nothing answers, what is left is reading the URL."""
    with asyncio.Runner() as runner:
        transport = httpx.MockTransport(_unreachable)
        fetcher = Fetcher(local_options(max_bytes=LIMIT, timeout_s=20), transport=transport)

        @settings(max_examples=200)
        @given(url_tail())
        def check(tail: str) -> None:
            with pytest.raises(ImageError):
                runner.run(fetcher.fetch(f"http://{tail}"))

        check()
        runner.run(fetcher.close())


async def test_no_cookies_are_kept() -> None:
    fetcher = Fetcher(local_options(max_bytes=100, timeout_s=20))
    answers = {
        "/a": canned(response("200 OK", b"x", "Set-Cookie: tracker=alice")),
        "/b": canned(response("200 OK", b"x")),
    }
    async with origin(answers) as server:
        await fetcher.fetch(f"{server.url}/a")
        await fetcher.fetch(f"{server.url}/b")
        assert "cookie" not in server.requests[1].lower()
    await fetcher.close()


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://127.0.0.1:x/", "http://a..b/"])
async def test_a_malformed_url_is_told_as_such(url: str) -> None:
    fetcher = Fetcher(local_options(max_bytes=100, timeout_s=5))
    with pytest.raises(ImageUrlInvalid):
        await fetcher.fetch(url)
    await fetcher.close()


async def test_a_port_out_of_range() -> None:
    fetcher = Fetcher(local_options(max_bytes=100, timeout_s=5))
    with pytest.raises(ImageUrlInvalid):
        await fetcher.fetch("http://127.0.0.1:99999/")
    await fetcher.close()
