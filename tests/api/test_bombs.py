"""Bombs are refused within their limits while others are answered."""

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.api import bombs
from tests.api.limits import FETCH_TIMEOUT_S, MAX_MEGAPIXELS
from tests.api.pictures import body, image_part, text_part, user
from tests.api.running import RunningServer, metric
from tests.web import serve_http

URL = "messages[0].content[0].image_url.url"
REPLACED = "llava:decode_workers_replaced_total"
# What a loaded machine may add to a limit of the server's own.
SLACK_S = 15

FILES = {
    "a PNG of 30,000 x 30,000": (bombs.png(30_000, 30_000), f"{MAX_MEGAPIXELS}000000 in all"),
    "a GIF of 10,000 frames": (bombs.gif(10_000), "more than 1000 frames"),
    "a TIFF with huge tiles": (bombs.tiff(100, 65_536), "pixels"),
}
PATHS = {
    "/gzip": ("image_too_large", "bytes"),
    "/flood": ("image_too_large", "bytes"),
    "/drip": ("image_fetch_failed", f"within {FETCH_TIMEOUT_S} seconds"),
}


@pytest.fixture(scope="module")
def trap() -> Iterator[str]:
    with serve_http(bombs.Trap) as url:
        yield url


async def refusal(http: httpx.AsyncClient, image: bytes | str) -> tuple[str, str]:
    """Return the code and the message of an image's refusal, which must come in time."""
    began = time.monotonic()
    request = body(user(image_part(image), text_part("What is it?")), max_tokens=1)
    response = await http.post("/v1/chat/completions", json=request)
    assert time.monotonic() - began < FETCH_TIMEOUT_S + SLACK_S
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["param"] == URL
    return error["code"], error["message"]


@pytest.mark.parametrize("name", FILES)
async def test_files(http_async: httpx.AsyncClient, name: str) -> None:
    data, reason = FILES[name]
    code, message = await refusal(http_async, data)
    assert code == "image_too_large"
    assert reason in message


@pytest.mark.parametrize("path", PATHS)
async def test_servers(http_async: httpx.AsyncClient, trap: str, path: str) -> None:
    code, message = await refusal(http_async, trap + path)
    assert code == PATHS[path][0]
    assert PATHS[path][1] in message


async def test_others_are_answered_meanwhile(
    server: RunningServer, http_async: httpx.AsyncClient, trap: str
) -> None:
    memory, replaced = server.memory_mib(), metric(server.url, REPLACED)
    images = [data for data, _ in FILES.values()] + [trap + path for path in PATHS]
    refusals = [asyncio.create_task(refusal(http_async, image)) for image in images * 4]
    drips = [task for task, image in zip(refusals, images * 4, strict=True) if image == images[-1]]
    answered = 0
    while not all(task.done() for task in drips):
        response = await http_async.post(
            "/v1/chat/completions", json=body(user("Hi"), max_tokens=4)
        )
        assert response.status_code == 200
        answered += 1
    await asyncio.gather(*refusals)
    assert answered > 10
    assert server.memory_mib() < memory + 150
    assert metric(server.url, REPLACED) == replaced
