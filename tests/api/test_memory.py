"""Many requests with new images each: memory stays where it was.

`SOAK_REQUESTS` sends more of them. `make soak` watches memory under mixed traffic and faults.
"""

import asyncio
import os
from collections.abc import Iterator

import httpx
from PIL import Image

from tests.api.pictures import body, encoded, image_part, text_part, user
from tests.api.running import RunningServer

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "1500"))
CLIENTS = 16
# From the middle to the end: until then caches and malloc's heap fill.
GROWTH = 1.06


def pictures(count: int) -> Iterator[bytes]:
    """Return pictures that no cache knows."""
    for number in range(count):
        image = Image.new("RGB", (96, 96), (number % 251, number // 251 % 251, 99))
        yield encoded(image)


async def test_memory_is_flat(server: RunningServer, http_async: httpx.AsyncClient) -> None:
    images = pictures(REQUESTS)
    sent = 0
    resident: list[float] = []  # MiB, after each tenth of the requests

    async def client() -> None:
        nonlocal sent
        for image in images:
            request = body(user(image_part(image), text_part("Describe it.")), max_tokens=1)
            (await http_async.post("/v1/chat/completions", json=request)).raise_for_status()
            sent += 1
            if sent % (REQUESTS // 10) == 0:
                resident.append(server.memory_mib())

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    print("resident MiB:", *(round(each) for each in resident))
    assert sent == REQUESTS
    assert resident[-1] < resident[len(resident) // 2] * GROWTH
