"""Hosts of images that are down, slow, or break connections off."""

import asyncio
import socket
import struct
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.api.running import RunningServer
from tests.faults.conftest import FETCH_TIMEOUT_S
from tests.faults.probing import (
    CHAT,
    Holdings,
    build_image_request,
    draw_new_image,
    read_error,
)
from tests.web import QuietHandler, serve_http

# What a loaded machine may add to a limit of the server's own.
SLACK_S = 10


class Host(QuietHandler):
    """A host of images with a fault for each path."""

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        """Answer by the path."""
        match self.path.split("?")[0]:
            case "/silent":
                time.sleep(FETCH_TIMEOUT_S * 2)
            case "/reset":
                self._reset()
            case "/cut":
                self._send(draw_new_image(), length=10_000)
            case "/error":
                self.send_error(503)
            case _:
                self._send(draw_new_image())

    def _send(self, image: bytes, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("content-type", "image/png")
        self.send_header("content-length", str(length or len(image)))
        self.end_headers()
        self.wfile.write(image)

    def _reset(self) -> None:
        """Close with a reset instead of an end."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with serve_http(Host) as url:
        yield url


def find_closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_broken_host_fails_only_its_images(faulty: RunningServer, host: str) -> None:
    held = Holdings.read(faulty)
    urls = [f"{host}/{fault}" for fault in ("silent", "reset", "cut", "error")]
    urls += [f"http://127.0.0.1:{find_closed_port()}/a.png", "http://no-such-host.invalid/a.png"]
    bodies = [build_image_request(f"{url}?{number}") for url in urls for number in range(3)]
    async with httpx.AsyncClient(base_url=faulty.url, timeout=60) as client:
        began = time.monotonic()
        asked = [asyncio.create_task(client.post(CHAT, json=body)) for body in bodies]
        good = await client.post(CHAT, json=build_image_request(f"{host}/good"))
        assert good.status_code == 200
        for response in await asyncio.gather(*asked):
            assert read_error(response) == (400, "image_fetch_failed")
        assert time.monotonic() - began < FETCH_TIMEOUT_S + SLACK_S
        again = await client.post(CHAT, json=build_image_request(f"{host}/good-again"))
        assert again.status_code == 200
    await asyncio.to_thread(held.wait_until_back, faulty)
