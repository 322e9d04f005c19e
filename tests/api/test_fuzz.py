"""Damaged images through the real endpoint: each is answered or refused, and nothing is lost.

`make fuzz` does the same for longer (`FUZZ_S`, in seconds) and with another seed each time.
"""

import asyncio
import os
import time
from collections import Counter

import httpx

from tests.api.pictures import body, circle_and_square, image_part, text_part, user
from tests.api.running import RunningServer, metric
from tests.mutation import generate_mutants

FUZZ_S = float(os.environ.get("FUZZ_S", "15"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
CLIENTS = 8
# Growth that caches, allocators and metrics explain; a leak of pixels would soon be more.
SLACK_MIB = 150

# A mutant may be empty, which is a fault of the URL.
REFUSALS = {
    *("image_format_unsupported", "image_corrupt"),
    *("image_too_large", "image_url_invalid"),
}


async def test_no_image_breaks_more_than_itself(
    server: RunningServer, http_async: httpx.AsyncClient
) -> None:
    images = generate_mutants(SEED)
    outcomes: Counter[str] = Counter()
    workers = metric(server.url, "llava:decode_workers ")
    memory = server.memory_mib()
    deadline = time.monotonic() + FUZZ_S

    async def client() -> None:
        while time.monotonic() < deadline:
            outcomes[await _outcome(http_async, next(images))] += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    assert set(outcomes) <= {"200", *REFUSALS}, outcomes
    assert sum(outcomes.values()) > 50
    assert outcomes["200"]
    assert outcomes["image_corrupt"]
    assert metric(server.url, "llava:decode_workers ") == workers
    assert server.memory_mib() < memory + SLACK_MIB
    picture = image_part(circle_and_square())
    request = body(user(picture, text_part("What color is the circle?")))
    answer = (await http_async.post("/v1/chat/completions", json=request)).json()
    assert answer["choices"][0]["message"]["content"] == "red"


async def _outcome(http: httpx.AsyncClient, image: bytes) -> str:
    """Return 200 or the error code; the image must be what is named. Anything else is a fault."""
    request = body(user(image_part(image), text_part("What is it?")), max_tokens=1)
    response = await http.post("/v1/chat/completions", json=request)
    if response.status_code == 200:
        return "200"
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["param"] == "messages[0].content[0].image_url.url"
    return str(error["code"])
