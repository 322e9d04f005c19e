"""A wall clock that jumps by hours: all limits of time go on as they were."""

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.api.pictures import body, user
from tests.api.running import RunningServer
from tests.faults.clock import COMPILER, HOUR_S, FakeClock
from tests.faults.probing import (
    CHAT,
    build_image_request,
    build_text_request,
    check_text,
    draw_large_image,
    draw_new_image,
)
from tests.web import QuietHandler, serve_http

pytestmark = pytest.mark.skipif(not COMPILER, reason="no C compiler for the clock's library")

TOLERANCE_S = 600


class CountedHost(QuietHandler):
    """A host whose image may be cached for an hour; counts how often it is fetched."""

    image = draw_new_image()
    fetched = 0

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        """Send the image."""
        type(self).fetched += 1
        self.send_response(200)
        self.send_header("cache-control", "max-age=3600")
        self.send_header("content-length", str(len(self.image)))
        self.end_headers()
        self.wfile.write(self.image)


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with serve_http(CountedHost) as url:
        yield url


def read_clock(http: httpx.Client) -> float:
    """Return the server's wall clock, relative to the real one, in seconds."""
    created: int = http.post(CHAT, json=build_text_request()).raise_for_status().json()["created"]
    return created - time.time()


@pytest.mark.parametrize("hours", [5, -5])
async def test_requests_go_on(faulty: RunningServer, clock: FakeClock, hours: int) -> None:
    """A stream, an image that is decoded, and a connection that is kept alive."""
    stream_body = body(user("Hello"), stream=True, ignore_eos=True, max_tokens=400)
    async with httpx.AsyncClient(base_url=faulty.url, timeout=60) as client:
        (await client.post(CHAT, json=build_text_request())).raise_for_status()
        large = build_image_request(draw_large_image())
        image = asyncio.create_task(client.post(CHAT, json=large))
        try:
            async with client.stream("POST", CHAT, json=stream_body) as response:
                lines = response.aiter_lines()
                await anext(lines)
                clock.jump(hours * HOUR_S)
                *_, last = [line async for line in lines if line]
            assert last == "data: [DONE]"
            assert (await image).status_code == 200, (await image).text
            with httpx.Client(base_url=faulty.url, timeout=60) as http:
                assert abs(read_clock(http) - hours * HOUR_S) < TOLERANCE_S
                check_text(http)
        finally:
            clock.jump(0)


def test_a_cached_image_is_fetched_again_when_its_time_is_over(
    clock: FakeClock, http: httpx.Client, host: str
) -> None:
    url = f"{host}/a.png"
    http.post(CHAT, json=build_image_request(url)).raise_for_status()
    http.post(CHAT, json=build_image_request(url)).raise_for_status()
    fetched = CountedHost.fetched
    try:
        for hours in (-5, 5):
            clock.jump(hours * HOUR_S)
            http.post(CHAT, json=build_image_request(url)).raise_for_status()
        assert CountedHost.fetched > fetched
    finally:
        clock.jump(0)
