"""Fetching from a real HTTP server on the loopback: schemes, redirects, time limits, failures."""

import asyncio
import socket

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.images.fetch.errors import FetchError, FetchFailed, UrlInvalid
from server.images.fetch.fetcher import MAX_REDIRECTS, Fetcher
from tests.server.images.fetch.fetching import BODY, LIMIT, expect_error
from tests.server.loopback import build_loopback_options
from tests.server.origin import Responder, build_response, respond_with, serve_origin


@pytest.mark.parametrize(
    "url",
    [
        *["", "cat.png", "/etc/passwd", "ftp://example.org/cat.png"],
        *["http:/example.org", "http:example.org", "//example.org/cat.png", "gopher://x", "datax:"],
    ],
)
async def test_other_schemes(url: str, offline_fetcher: Fetcher) -> None:
    assert type(await expect_error(offline_fetcher, url)) is UrlInvalid


async def test_http(fetcher: Fetcher) -> None:
    async with serve_origin({"/cat": respond_with(build_response("200 OK", BODY))}) as server:
        assert await fetcher.fetch(f"{server.url}/cat", "") == BODY
        assert await fetcher.fetch(f"{server.url.upper()}/cat", "") == BODY
        assert "user-agent: llava-server\r\n" in server.requests[0].lower()
        assert "accept: image/*\r\n" in server.requests[0].lower()


@pytest.mark.parametrize("status", ["200 OK", "204 No Content"])
async def test_a_response_without_data_is_refused(status: str, fetcher: Fetcher) -> None:
    async with serve_origin({"/": respond_with(build_response(status, b""))}) as server:
        error = await expect_error(fetcher, f"{server.url}/")
    assert str(error) == "The URL's server sent no data."


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "500 Oops", "304 Same"])
async def test_http_errors_are_reported_by_status(status: str, fetcher: Fetcher) -> None:
    async with serve_origin({"/": respond_with(build_response(status, b"secret page"))}) as server:
        error = await expect_error(fetcher, f"{server.url}/")
    assert type(error) is FetchFailed
    assert str(error) == f"The URL's server answered {status[:3]}."


async def test_redirects_are_followed(fetcher: Fetcher) -> None:
    answers = {
        f"/{i}": respond_with(build_response("302 Found", b"", f"Location: /{i + 1}"))
        for i in range(9)
    }
    answers[f"/{MAX_REDIRECTS}"] = respond_with(build_response("200 OK", BODY))
    async with serve_origin(answers) as server:
        assert await fetcher.fetch(f"{server.url}/0", "") == BODY


async def test_endless_redirects(fetcher: Fetcher) -> None:
    answers = {"/": respond_with(build_response("302 Found", b"", "Location: /"))}
    async with serve_origin(answers) as server:
        assert type(await expect_error(fetcher, f"{server.url}/")) is FetchFailed
        assert len(server.requests) == MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "data:image/png;base64,AAAA", "http://[", "ftp://127.0.0.1/"]
)
async def test_redirects_lead_only_to_http(location: str, fetcher: Fetcher) -> None:
    answers = {"/": respond_with(build_response("302 Found", b"", f"Location: {location}"))}
    async with serve_origin(answers) as server:
        assert type(await expect_error(fetcher, f"{server.url}/")) is FetchFailed


async def test_a_redirect_without_location(fetcher: Fetcher) -> None:
    async with serve_origin({"/": respond_with(build_response("302 Found"))}) as server:
        error = await expect_error(fetcher, f"{server.url}/")
        assert str(error) == "The URL's server answered 302."


def build_silent_responder(data: bytes) -> Responder:
    """Return a responder that writes `data` and then neither writes nor closes."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await reader.read()  # until the client disconnects

    return respond


@pytest.mark.parametrize(
    "data", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"]
)
async def test_a_server_that_falls_silent(data: bytes, hasty_fetcher: Fetcher) -> None:
    async with serve_origin({"/": build_silent_responder(data)}) as server:
        error = await expect_error(hasty_fetcher, f"{server.url}/")
    assert type(error) is FetchFailed
    assert str(error) == "The URL could not be fetched within 0.2 seconds."


async def test_a_server_that_drips(hasty_fetcher: Fetcher) -> None:
    """The time limit covers the whole fetch; no single pause reaches it."""

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serve_origin({"/": drip}) as server:
        error = await expect_error(hasty_fetcher, f"{server.url}/")
    assert "within 0.2 seconds" in str(error)


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
async def test_a_server_that_disconnects_or_speaks_no_http(answer: bytes, fetcher: Fetcher) -> None:
    async with serve_origin({"/": respond_with(answer)}) as server:
        error = await expect_error(fetcher, f"{server.url}/")
    assert type(error) is FetchFailed
    assert str(error) == "The URL could not be fetched."


async def test_connection_refused(fetcher: Fetcher) -> None:
    with socket.socket() as bound:  # and not listening: the port is closed
        bound.bind(("127.0.0.1", 0))
        error = await expect_error(fetcher, f"http://127.0.0.1:{bound.getsockname()[1]}/")
    assert type(error) is FetchFailed


async def test_https_speaks_tls_first(fetcher: Fetcher) -> None:
    first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first.set_result(await reader.read(1))
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert type(await expect_error(fetcher, f"HTTPS://127.0.0.1:{port}/")) is FetchFailed
        assert await first == b"\x16"  # a TLS handshake, and no request in clear text


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    fetcher = Fetcher(build_loopback_options(max_bytes=LIMIT, timeout_s=20))
    async with serve_origin({"/": respond_with(build_response("200 OK", BODY))}) as server:
        assert await fetcher.fetch(f"{server.url}/", "") == BODY
    await fetcher.close()


async def test_a_cancelled_fetch_disconnects(fetcher: Fetcher) -> None:
    disconnected = asyncio.Event()
    arrived = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        arrived.set()
        assert await reader.read() == b""
        disconnected.set()

    async with serve_origin({"/": wait}) as server:
        fetching = asyncio.create_task(fetcher.fetch(f"{server.url}/", ""))
        await arrived.wait()
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        await disconnected.wait()


def generate_url_tails() -> st.SearchStrategy[str]:
    """Return texts to follow `http://`: any text, or a URL's own characters."""
    return st.text(max_size=40) | st.text("ab:/@[]%?#.- \\\x00é1", max_size=40)


async def _fail_to_connect(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no such host", request=request)


def test_every_url_fails_with_an_image_error() -> None:
    """No host is reachable, so only URL parsing is tested."""
    with asyncio.Runner() as runner:
        transport = httpx.MockTransport(_fail_to_connect)
        fetcher = Fetcher(
            build_loopback_options(max_bytes=LIMIT, timeout_s=20), transport=transport
        )

        @settings(max_examples=200)
        @given(generate_url_tails())
        def check(tail: str) -> None:
            with pytest.raises(FetchError):
                runner.run(fetcher.fetch(f"http://{tail}", ""))

        check()
        runner.run(fetcher.close())


async def test_cookies_are_not_stored() -> None:
    fetcher = Fetcher(build_loopback_options(max_bytes=100, timeout_s=20))
    answers = {
        "/a": respond_with(build_response("200 OK", b"x", "Set-Cookie: tracker=alice")),
        "/b": respond_with(build_response("200 OK", b"x")),
    }
    async with serve_origin(answers) as server:
        await fetcher.fetch(f"{server.url}/a", "")
        await fetcher.fetch(f"{server.url}/b", "")
        assert "cookie" not in server.requests[1].lower()
    await fetcher.close()


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://127.0.0.1:x/", "http://a..b/"])
async def test_malformed_urls(url: str) -> None:
    fetcher = Fetcher(build_loopback_options(max_bytes=100, timeout_s=5))
    with pytest.raises(UrlInvalid):
        await fetcher.fetch(url, "")
    await fetcher.close()


async def test_a_port_out_of_range() -> None:
    fetcher = Fetcher(build_loopback_options(max_bytes=100, timeout_s=5))
    with pytest.raises(UrlInvalid):
        await fetcher.fetch("http://127.0.0.1:99999/", "")
    await fetcher.close()
