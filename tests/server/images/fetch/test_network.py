"""Checked addresses, redirects, look-ups, TLS and proxies, with real sockets."""

import asyncio
import ssl
import subprocess
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from server.errors import ImageError, ImageFetchFailed, ImageUrlForbidden
from server.images.fetch.fetcher import Fetcher
from server.images.fetch.options import FetchOptions
from server.images.fetch.resolver import SystemResolver, UnknownHost
from tests.server.loopback import build_loopback_options
from tests.server.origin import Responder, build_response, respond_with, serve_origin

BODY = b"an image"


SECOND = (IPv4Network("127.0.0.2/32"),)


class Names:
    """A resolver that gives one answer after the other, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> list[IPv4Address | IPv6Address]:  # noqa: ARG002
        """Give the next answer; an empty one is an unknown name."""
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise UnknownHost
        return [ip_address(text) for text in answer]


def options(**others: Any) -> FetchOptions:
    """Allow what the loopback's origins need."""
    return build_loopback_options(max_bytes=1000, timeout_s=20, **others)


async def fetched(url: str, names: Names | None = None, **others: Any) -> bytes:
    """Fetch with a fetcher of its own."""
    fetcher = Fetcher(options(**others), resolver=names)
    try:
        return await fetcher.fetch(url)
    finally:
        await fetcher.close()


async def refusal(url: str, names: Names | None = None, **others: Any) -> type[ImageError]:
    """Return the error, which names no address."""
    with pytest.raises(ImageError) as caught:
        await fetched(url, names, **others)
    for internal in ("127.", "::1", "Errno", "httpx", "ssl", "certificate", "Error"):
        assert internal not in caught.value.message
    return type(caught.value)


def at_name(url: str, name: str = "images.example") -> str:
    """Put a name in the place of an origin's address."""
    scheme, port = url.split("://")[0], url.rsplit(":", 1)[1]
    return f"{scheme}://{name}:{port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "local"])
async def test_a_plain_server_fetches_nothing_from_itself(host: str) -> None:
    async with serve_origin({"/": respond_with(build_response("200 OK", BODY))}) as server:
        url = f"http://{host}:{server.url.rsplit(':', 1)[1]}/"
        names = Names(["127.0.0.1"])
        assert await refusal(url, names, allow_networks=()) is ImageUrlForbidden
        assert await refusal(url, names, allow_ports=frozenset({80, 443})) is ImageUrlForbidden
        assert server.requests == []
        assert await fetched(url, names) == BODY


async def test_one_fetch_is_one_look_up_and_the_answer_holds() -> None:
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    async with serve_origin(
        {"/": respond_with(build_response("200 OK", BODY))}, host="127.0.0.2"
    ) as server:
        assert await fetched(f"{at_name(server.url)}/", names, allow_networks=SECOND) == BODY
        assert names.asked == ["images.example"]
        # The second look-up, of the next fetch, is refused before anything is connected to.
        assert (
            await refusal(f"{at_name(server.url)}/", names, allow_networks=SECOND)
            is ImageUrlForbidden
        )
        assert len(server.requests) == 1


@pytest.mark.parametrize("bad", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1"])
async def test_one_bad_address_refuses_the_name(bad: str) -> None:
    async with serve_origin(
        {"/": respond_with(build_response("200 OK", BODY))}, host="127.0.0.2"
    ) as server:
        for answer in (["127.0.0.2", bad], [bad, "127.0.0.2"]):
            url = f"{at_name(server.url)}/"
            assert await refusal(url, Names(answer), allow_networks=SECOND) is ImageUrlForbidden
        assert server.requests == []


async def test_the_next_address_is_tried() -> None:
    async with serve_origin(
        {"/": respond_with(build_response("200 OK", BODY))}, host="127.0.0.2"
    ) as server:
        names = Names(["127.0.0.3", "127.0.0.2"])
        assert await fetched(f"{at_name(server.url)}/", names) == BODY
        assert len(names.asked) == 1


async def test_an_unknown_name() -> None:
    names = Names([])
    assert await refusal("http://images.example/", names) is ImageFetchFailed
    assert len(names.asked) == 1


async def test_the_system_knows_localhost() -> None:
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
async def test_redirects_are_judged_as_urls_are(location: str) -> None:
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
        assert await refusal(url, allow_networks=SECOND) is ImageUrlForbidden
        assert len(server.requests) == 1


async def test_redirects_to_other_ports_and_schemes() -> None:
    async with serve_origin({"/b": respond_with(build_response("200 OK", BODY))}) as other:
        for location in (f"{other.url}/b", "file:///etc/passwd", "data:image/png;base64,AAAA"):
            there = respond_with(build_response("302 Found", b"", f"Location: {location}"))
            async with serve_origin({"/": there}) as server:
                ports = frozenset({int(server.url.rsplit(":", 1)[1])})
                expected = ImageUrlForbidden if "http" in location else ImageFetchFailed
                assert await refusal(f"{server.url}/", allow_ports=ports) is expected
        assert other.requests == []


async def test_credentials_stay_with_their_hop() -> None:
    answers = {
        "/": respond_with(build_response("302 Found", b"", "Location: /b")),
        "/b": respond_with(build_response("200 OK", BODY)),
    }
    async with serve_origin(answers) as server:
        url = server.url.replace("://", "://user:word@")
        assert await fetched(f"{url}/", allow_userinfo=True) == BODY
        first, second = (head.lower() for head in server.requests)
        assert "authorization: basic" in first
        assert "authorization" not in second
        assert "referer" not in second


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """Sign a certificate with its own key."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-nodes", "-keyout", str(folder / "key"), "-out", str(folder / "cert")]
    about = ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run([*command, *files, *about], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


@pytest.mark.skipif(which("openssl") is None, reason="makes a certificate with openssl")
async def test_tls_is_verified_for_the_name(tmp_path: Path) -> None:
    context = certificate(tmp_path, "images.example")
    names = Names(["127.0.0.1"])
    trusting = ssl.create_default_context(cafile=tmp_path / "cert")
    fetcher = Fetcher(options(), resolver=names, ssl_context=trusting)
    async with serve_origin(
        {"/": respond_with(build_response("200 OK", BODY))}, ssl_context=context
    ) as server:
        assert await refusal(f"{at_name(server.url)}/", names) is ImageFetchFailed
        assert await fetcher.fetch(f"{at_name(server.url)}/") == BODY
        for url in (server.url, at_name(server.url, "other.example")):
            with pytest.raises(ImageFetchFailed):
                await fetcher.fetch(f"{url}/")
        assert len(server.requests) == 1
    await fetcher.close()


async def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(["127.0.0.1"])
    async with serve_origin(
        {"http://images.example/a": respond_with(build_response("200 OK", BODY))}
    ) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "direct.example")
        plain = {"proxy_env": True, "allow_networks": (), "allow_ports": frozenset({80})}
        assert await fetched("http://images.example/a", names, **plain) == BODY
        assert names.asked == []
        for url in ("http://127.0.0.1/", "http://direct.example/", "http://metadata/"):
            assert await refusal(url, names, **plain) is ImageUrlForbidden
        assert names.asked == ["direct.example"]
        assert len(proxy.requests) == 1
