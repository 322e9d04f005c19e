"""Clients that ask one after another, and what became of each request."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.api.pictures import body, circle_and_square, image_part, text_part, user

TEXT = body(user("What is it?"), max_tokens=16, temperature=0)
IMAGE = body(user(image_part(circle_and_square()), text_part("What is it?")), max_tokens=16)
STREAM = {**TEXT, "stream": True}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request: when it began and ended, and its status; 0 where the connection was cut."""

    began: float
    ended: float
    status: int


@dataclass(slots=True)
class Load:
    """The outcomes so far."""

    outcomes: list[Outcome] = field(default_factory=list)
    is_over: bool = False

    @property
    def failures(self) -> list[Outcome]:
        """What was not answered well."""
        return [each for each in self.outcomes if each.status != 200]

    async def wait_for_more(self, number: int) -> None:
        """Wait until so many further requests have their answer."""
        wanted = len(self.outcomes) + number
        while len(self.outcomes) < wanted:  # noqa: ASYNC110 - the clients would set it each time
            await asyncio.sleep(0.02)


@asynccontextmanager
async def run_load(url: str, clients: int) -> AsyncIterator[Load]:
    """Ask with text, images and streams for a block."""
    load = Load()
    tasks = [asyncio.create_task(_ask_on(url, load, number)) for number in range(clients)]
    try:
        yield load
    finally:
        load.is_over = True
        await asyncio.gather(*tasks)


async def _ask_on(url: str, load: Load, number: int) -> None:
    requests = itertools.cycle((TEXT, IMAGE, STREAM))
    for _ in range(number % 3):
        next(requests)
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        while not load.is_over:
            began = time.monotonic()
            status = await _ask(http, next(requests))
            load.outcomes.append(Outcome(began, time.monotonic(), status))


async def _ask(http: httpx.AsyncClient, request: dict[str, object]) -> int:
    try:
        response = await http.post("/v1/chat/completions", json=request)
    except httpx.TransportError:
        return 0
    is_cut = '"error"' in response.text
    return 0 if response.status_code == 200 and is_cut else response.status_code
