"""Checked addresses, redirects, look-ups, TLS and proxies, with real sockets."""

import asyncio
import ssl
import subprocess
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from server.images.fetch.errors import FetchError, FetchFailed, UrlForbidden
from server.images.fetch.fetcher import Fetcher
from server.images.fetch.options import FetchOptions
from server.images.fetch.resolver import SystemResolver, UnknownHost
from tests.server.loopback import build_loopback_options
from tests.server.origin import Responder, build_response, respond_with, serve_origin

BODY = b"an image"


SECOND = (IPv4Network("127.0.0.2/32"),)


class FakeResolver:
    """A resolver that returns one answer after the other, the last one repeatedly."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.hosts: list[str] = []

    async def resolve(self, host: str, port: int) -> list[IPv4Address | IPv6Address]:  # noqa: ARG002
        """Return the next answer; an empty one is an unknown host."""
        self.hosts.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise UnknownHost
        return [ip_address(text) for text in answer]


def build_options(**others: Any) -> FetchOptions:
    """Allow the loopback, 1000 bytes and 20 seconds."""
    return build_loopback_options(max_bytes=1000, timeout_s=20, **others)


async def fetch(url: str, resolver: FakeResolver | None = None, **others: Any) -> bytes:
    """Fetch once with a new fetcher."""
    fetcher = Fetcher(build_options(**others), resolver=resolver)
    try:
        return await fetcher.fetch(url, "")
    finally:
        await fetcher.close()


async def expect_error(
    url: str, resolver: FakeResolver | None = None, **others: Any
) -> type[FetchError]:
    """Return the type of the error; its message leaks no internals."""
    with pytest.raises(FetchError) as caught:
        await fetch(url, resolver, **others)
    for internal in ("127.", "::1", "Errno", "httpx", "ssl", "certificate", "Error"):
        assert internal not in caught.value.args[0]
    return type(caught.value)


def replace_host(url: str, name: str = "images.example") -> str:
    """Replace an origin's address by a host name."""
    scheme, port = url.split("://")[0], url.rsplit(":", 1)[1]
    return f"{scheme}://{name}:{port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "local"])
async def test_the_loopback_is_forbidden_by_default(host: str) -> None:
    async with serve_origin({"/": respond_with(build_response("200 OK", BODY))}) as server:
        url = f"http://{host}:{server.url.rsplit(':', 1)[1]}/"
        resolver = FakeResolver(["127.0.0.1"])
        assert await expect_error(url, resolver, allow_networks=()) is UrlForbidden
        assert await expect_error(url, resolver, allow_ports=frozenset({80, 443})) is UrlForbidden
        assert server.requests == []
        assert await fetch(url, resolver) == BODY


async def test_a_fetch_resolves_once_and_connects_to_the_checked_address() -> None:
    resolver = FakeResolver(["127.0.0.2"], ["127.0.0.1"])
    async with serve_origin(
        {"/": respond_with(build_response("200 OK", BODY))}, host="127.0.0.2"
    ) as server:
        assert await fetch(f"{replace_host(server.url)}/", resolver, allow_networks=SECOND) == BODY
        assert resolver.hosts == ["images.example"]
        # The second look-up, of the next fetch, is refused before anything is connected to.
        assert (
            await expect_error(f"{replace_host(server.url)}/", resolver, allow_networks=SECOND)
            is UrlForbidden
        )
        assert len(server.requests) == 1


@pytest.mark.parametrize("bad", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1"])
async def test_one_forbidden_address_forbids_the_host(bad: str) -> None:
    async with serve_origin(
        {"/": respond_with(build_response("200 OK", BODY))}, host="127.0.0.2"
    ) as server:
        for answer in (["127.0.0.2", bad], [bad, "127.0.0.2"]):
            url = f"{replace_host(server.url)}/"
            assert (
                await expect_error(url, FakeResolver(answer), allow_networks=SECOND) is UrlForbidden
            )
        assert server.requests == []


async def test_the_next_address_is_tried() -> None:
    async with serve_origin(
        {"/": respond_with(build_response("200 OK", BODY))}, host="127.0.0.2"
    ) as server:
        resolver = FakeResolver(["127.0.0.3", "127.0.0.2"])
        assert await fetch(f"{replace_host(server.url)}/", resolver) == BODY
        assert len(resolver.hosts) == 1


async def test_an_unknown_host() -> None:
    resolver = FakeResolver([])
    assert await expect_error("http://images.example/", resolver) is FetchFailed
    assert len(resolver.hosts) == 1


async def test_the_system_resolver_resolves_localhost() -> None:
    resolver = SystemResolver()
    assert IPv4Address("127.0.0.1") in await resolver.resolve("localhost", 80)
    await resolver.close()


LOCATIONS = [
    *["http://127.0.0.1:{port}/b", "//127.0.0.1:{port}/b", "http://[::1]:{port}/b"],
    *["http://user:word@127.0.0.2:{port}/b", "http://127.1:{port}/b", "\\\\127.0.0.1:{port}/b"],
    *["http://127.0.0.2:{port}\\@127.0.0.1/b", "/\\127.0.0.1/b", "http://127.0.0.2:{port}/b c"],
    *["http://metadata.google.internal/b", "http://169.254.169.254/b", "HTTP://2130706433/b"],
]


@pytest.mark.parametrize("location", LOCATIONS)
async def test_redirects_are_checked_like_urls(location: str) -> None:
    async def redirect(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("sockname")[1]
        there = f"Location: {location.format(port=port)}"
        writer.write(build_response("302 Found", b"", there))
        await writer.drain()

    answers: dict[str, Responder] = {
        "/": redirect,
        "/b": respond_with(build_response("200 OK", BODY)),
    }
    async with serve_origin(answers, host="127.0.0.2") as server:
        url = f"{server.url}/"
        assert await expect_error(url, allow_networks=SECOND) is UrlForbidden
        assert len(server.requests) == 1


async def test_redirects_to_other_ports_and_schemes() -> None:
    async with serve_origin({"/b": respond_with(build_response("200 OK", BODY))}) as other:
        for location in (f"{other.url}/b", "file:///etc/passwd", "data:image/png;base64,AAAA"):
            there = respond_with(build_response("302 Found", b"", f"Location: {location}"))
            async with serve_origin({"/": there}) as server:
                ports = frozenset({int(server.url.rsplit(":", 1)[1])})
                expected = UrlForbidden if "http" in location else FetchFailed
                assert await expect_error(f"{server.url}/", allow_ports=ports) is expected
        assert other.requests == []


async def test_credentials_are_not_sent_to_a_redirect() -> None:
    answers = {
        "/": respond_with(build_response("302 Found", b"", "Location: /b")),
        "/b": respond_with(build_response("200 OK", BODY)),
    }
    async with serve_origin(answers) as server:
        url = server.url.replace("://", "://user:word@")
        assert await fetch(f"{url}/", allow_userinfo=True) == BODY
        first, second = (head.lower() for head in server.requests)
        assert "authorization: basic" in first
        assert "authorization" not in second
        assert "referer" not in second


def build_tls_context(folder: Path, name: str) -> ssl.SSLContext:
    """Return a server's TLS context with a new self-signed certificate."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-nodes", "-keyout", str(folder / "key"), "-out", str(folder / "cert")]
    about = ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run([*command, *files, *about], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


@pytest.mark.skipif(which("openssl") is None, reason="makes a certificate with openssl")
async def test_tls_is_verified_for_the_name(tmp_path: Path) -> None:
    context = build_tls_context(tmp_path, "images.example")
    resolver = FakeResolver(["127.0.0.1"])
    trusting_context = ssl.create_default_context(cafile=tmp_path / "cert")
    fetcher = Fetcher(build_options(), resolver=resolver, ssl_context=trusting_context)
    async with serve_origin(
        {"/": respond_with(build_response("200 OK", BODY))}, ssl_context=context
    ) as server:
        assert await expect_error(f"{replace_host(server.url)}/", resolver) is FetchFailed
        assert await fetcher.fetch(f"{replace_host(server.url)}/", "") == BODY
        for url in (server.url, replace_host(server.url, "other.example")):
            with pytest.raises(FetchFailed):
                await fetcher.fetch(f"{url}/", "")
        assert len(server.requests) == 1
    await fetcher.close()


async def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = FakeResolver(["127.0.0.1"])
    async with serve_origin(
        {"http://images.example/a": respond_with(build_response("200 OK", BODY))}
    ) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "direct.example")
        restricted = {"proxy_env": True, "allow_networks": (), "allow_ports": frozenset({80})}
        assert await fetch("http://images.example/a", resolver, **restricted) == BODY
        assert resolver.hosts == []
        for url in ("http://127.0.0.1/", "http://direct.example/", "http://metadata/"):
            assert await expect_error(url, resolver, **restricted) is UrlForbidden
        assert resolver.hosts == ["direct.example"]
        assert len(proxy.requests) == 1
