"""Bodies are read within limits: bytes, memory that all share, and JSON structure."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.api.body import (
    FREE_BYTES,
    STEP_BYTES,
    BodyBudget,
    read_body,
)
from server.api.error_response import build_error_response
from server.errors import ApiError, TooManyRequests

LIMIT = 100


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of an application that returns the length of bodies."""
    budget = BodyBudget(1_000_000, 1)

    async def echo(request: Request) -> Response:
        with budget.lease("t") as lease:
            return JSONResponse(len(await read_body(request, lease, LIMIT)))

    async def fail(_: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return build_error_response(error)

    app = Starlette(
        routes=[Route("/", echo, methods=["POST"])], exception_handlers={ApiError: fail}
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def send_chunks(count: int, size: int = 10) -> AsyncIterator[bytes]:
    """Send a body in pieces and without its length."""
    for _ in range(count):
        yield b"x" * size


def assert_too_large(response: httpx.Response) -> None:
    """See the error in OpenAI's shape."""
    assert response.status_code == 413
    assert response.json()["error"] == {
        "message": f"The request body exceeds the limit of {LIMIT} bytes.",
        "type": "invalid_request_error",
        "param": None,
        "code": "request_too_large",
    }


@pytest.mark.parametrize("length", [0, 1, LIMIT])
async def test_bodies_up_to_the_limit_pass(length: int, client: httpx.AsyncClient) -> None:
    response = await client.post("/", content=b"x" * length)
    assert response.json() == length


async def test_a_body_in_pieces_up_to_the_limit_passes(client: httpx.AsyncClient) -> None:
    response = await client.post("/", content=send_chunks(LIMIT // 10))
    assert "content-length" not in response.request.headers
    assert response.json() == LIMIT


async def test_a_body_over_the_limit_is_refused_as_soon_as_it_is(
    client: httpx.AsyncClient,
) -> None:
    assert_too_large(await client.post("/", content=b"x" * (LIMIT + 1)))
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:  # without end: only the limit ends it
            sent += 10
            yield b"x" * 10

    assert_too_large(await client.post("/", content=body()))
    assert sent == LIMIT + 10


async def test_a_length_that_lies_does_not_help(client: httpx.AsyncClient) -> None:
    response = await client.post("/", content=send_chunks(20), headers={"content-length": "5"})
    assert_too_large(response)


async def test_small_bodies_take_nothing_from_the_budget() -> None:
    budget = BodyBudget(STEP_BYTES, 1)
    with budget.lease("a") as lease:
        await lease.grow(FREE_BYTES)
        assert budget.used == 0
        await lease.grow(FREE_BYTES + 1)
        assert budget.used == STEP_BYTES
    assert budget.used == 0


async def test_a_body_waits_for_memory() -> None:
    budget = BodyBudget(4 * STEP_BYTES, 30)  # of which one tenant takes half
    with budget.lease("a") as first:
        await first.grow(FREE_BYTES + 1)
        await first.grow(STEP_BYTES + 1)
        assert budget.used == 2 * STEP_BYTES
        with budget.lease("a") as second:
            growing = asyncio.create_task(second.grow(FREE_BYTES + 1))
            await asyncio.sleep(0)
            assert not growing.done()
            first.release()
            await growing
            assert budget.used == STEP_BYTES
    assert budget.used == 0


async def test_a_wait_for_memory_ends() -> None:
    budget = BodyBudget(STEP_BYTES, 0.01)
    with budget.lease("a") as first, budget.lease("a") as second:
        await first.grow(FREE_BYTES + 1)
        with pytest.raises(TooManyRequests) as caught:
            await second.grow(FREE_BYTES + 1)
        assert caught.value.retry_after == 2
    assert budget.used == 0


async def test_one_tenant_cannot_take_all_memory_from_another() -> None:
    budget = BodyBudget(4 * STEP_BYTES, 0.01)
    with budget.lease("flood") as flood, budget.lease("polite") as polite:
        await polite.grow(FREE_BYTES + 1)
        grown: list[Any] = []
        for size in (FREE_BYTES + 1, STEP_BYTES + 1):
            await flood.grow(size)
            grown.append(size)
        with pytest.raises(TooManyRequests):
            await flood.grow(2 * STEP_BYTES + 1)
        await polite.grow(STEP_BYTES + 1)
    assert budget.used == 0
