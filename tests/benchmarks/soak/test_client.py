"""How the client of a soak judges responses, and a host of images that misbehaves."""

import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from benchmarks.images import PngImages
from benchmarks.soak.client import SoakClient
from benchmarks.soak.image_host import ImageHost, Mood
from benchmarks.soak.requests import RequestFactory, SoakRequest
from benchmarks.soak.timeline import ABORTED, OK, OUTAGE, OVERLOADED, REFUSED, Timeline
from tests.web import QuietHandler, serve_http

EVENTS = "data: {}\n\n" * 5
RESPONSES = {
    "/whole": (200, {}, "{}"),
    "/stream": (200, {}, EVENTS + "data: [DONE]\n\n"),
    "/cut": (200, {}, EVENTS),
    "/bad": (400, {}, "{}"),
    "/fetch": (400, {}, json.dumps({"error": {"code": "image_fetch_failed"}})),
    "/busy": (429, {"retry-after": "1"}, "{}"),
    "/rude": (429, {}, "{}"),
    "/broken": (500, {}, "{}"),
}


class Scripted(QuietHandler):
    """A server with a response for each path."""

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        """Respond by the path."""
        self.rfile.read(int(self.headers["content-length"]))
        status, headers, body = RESPONSES[self.path]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve_http(Scripted) as found:
        yield found


@pytest.fixture
async def client(url: str) -> AsyncIterator[SoakClient]:
    """Return a client of the scripted server."""
    client = SoakClient(url, "key", Timeline(60))
    yield client
    await client.close()


@pytest.mark.parametrize(
    ("request_", "outcome"),
    [
        (SoakRequest("a", "/whole", {}), OK),
        (SoakRequest("a", "/stream", {}, streams=True), OK),
        (SoakRequest("a", "/stream", {}, streams=True, aborts=True), ABORTED),
        (SoakRequest("a", "/cut", {}, streams=True), "stream ended with data: {}"),
        (SoakRequest("a", "/bad", {}, is_bad=True), REFUSED),
        (SoakRequest("a", "/bad", {}), "status 400: {}"),
        (SoakRequest("a", "/whole", {}, is_bad=True), "200 for bad input"),
        (SoakRequest("a", "/fetch", {}, may_fail=True), REFUSED),
        (SoakRequest("a", "/busy", {}), OVERLOADED),
        (SoakRequest("a", "/rude", {}), "status 429: {}"),
        (SoakRequest("a", "/broken", {}), "status 500: {}"),
    ],
)
async def test_outcomes(client: SoakClient, request_: SoakRequest, outcome: str) -> None:
    assert await client.send(request_) == outcome


async def test_a_server_that_is_gone() -> None:
    timeline = Timeline(60)
    client = SoakClient("http://127.0.0.1:1", "key", timeline)
    request = SoakRequest("a", "/whole", {})
    assert await client.send(request) == "ConnectError"
    with timeline.outage():
        assert await client.send(request) == OUTAGE
    assert timeline.failures == {"a: ConnectError": 1}
    await client.close()


async def test_the_host_has_moods() -> None:
    images = PngImages(64)
    async with ImageHost(images) as host, httpx.AsyncClient() as client:
        assert (await client.get(f"{host.url}/7.png")).content == images.build(7)
        await host.change(Mood.RESETTING)
        with pytest.raises(httpx.ReadError):
            await client.get(f"{host.url}/7.png")
        await host.change(Mood.DOWN)
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{host.url}/7.png")
        await host.change(Mood.GOOD)
        assert (await client.get(f"{host.url}/7.png")).content == images.build(7)


async def test_the_same_seed_draws_the_same_requests() -> None:
    images = PngImages(64)
    async with ImageHost(images) as host:
        first, second = (RequestFactory(3, images, host) for _ in range(2))
        drawn = [first.draw() for _ in range(200)]
        assert drawn == [second.draw() for _ in range(200)]
    assert len({request.kind for request in drawn}) > 12
