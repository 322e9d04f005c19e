"""A compressed body is read as if it were not, within the same limits, off the event loop."""

import gzip
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.api.body import BodyBudget, read_body
from server.api.error_response import build_error_response
from server.api.inflating import body as inflating
from server.api.inflating.codings import Inflater
from server.errors import ApiError
from tests.server.api.inflating.samples import COMPRESSORS, MIB

LIMIT = 8 * MIB


@pytest.fixture
def budget() -> BodyBudget:
    """Return the memory of all bodies."""
    return BodyBudget(64 * MIB, 1)


@pytest.fixture
async def client(budget: BodyBudget) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of an application that returns the length of bodies, and memory taken."""

    async def echo(request: Request) -> Response:
        with budget.lease("t") as lease:
            body = await read_body(request, lease, LIMIT)
            return JSONResponse({"bytes": len(body), "taken": budget.used})

    async def fail(_: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return build_error_response(error)

    app = Starlette(
        routes=[Route("/", echo, methods=["POST"])], exception_handlers={ApiError: fail}
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        yield client


def encoded(coding: str) -> dict[str, str]:
    """Return the header of a compressed body."""
    return {"content-encoding": coding}


@pytest.mark.parametrize(("coding", "compress"), COMPRESSORS)
async def test_memory_is_taken_for_what_comes_out(
    coding: str, compress: Callable[[bytes], bytes], client: httpx.AsyncClient
) -> None:
    response = await client.post("/", content=compress(b"a" * LIMIT), headers=encoded(coding))
    assert response.json() == {"bytes": LIMIT, "taken": LIMIT}


async def test_limits_hold_for_what_comes_out(
    client: httpx.AsyncClient, budget: BodyBudget
) -> None:
    for data, status, code in (
        (b"a" * (LIMIT + 1), 413, "request_too_large"),
        (b"[" * 40_000, 400, "invalid_value"),
    ):
        response = await client.post("/", content=gzip.compress(data), headers=encoded("gzip"))
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert budget.used == 0


async def test_the_limit_holds_for_what_arrives(client: httpx.AsyncClient) -> None:
    async def send() -> AsyncIterator[bytes]:
        yield gzip.compress(b"")[:10]
        while True:  # blocks without output, without end
            yield b"\0\0\0\xff\xff" * 20_000

    response = await client.post("/", content=send(), headers=encoded("gzip"))
    assert response.status_code == 413


async def test_an_unknown_coding_names_those_that_are_accepted(client: httpx.AsyncClient) -> None:
    response = await client.post("/", content=b"{}", headers=encoded("lzma"))
    assert response.status_code == 415
    assert response.json()["error"]["code"] == "unsupported_content_encoding"
    assert response.headers["accept-encoding"] == "gzip, deflate, br, zstd"


@pytest.mark.parametrize("data", [gzip.compress(b"{}")[:-1], b"{}"], ids=["cut", "plain"])
async def test_a_damaged_body_is_refused(data: bytes, client: httpx.AsyncClient) -> None:
    response = await client.post("/", content=data, headers=encoded("gzip"))
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_content_encoding"


async def test_no_body_is_no_damaged_one(client: httpx.AsyncClient) -> None:
    response = await client.post("/", headers=encoded("gzip"))
    assert response.json()["bytes"] == 0


async def test_large_bodies_leave_the_event_loop(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    class Watched(Inflater):
        def inflate(self, data: bytes) -> Iterator[bytes]:
            for piece in super().inflate(data):
                threads.append(threading.current_thread())
                yield piece

    monkeypatch.setattr(inflating, "Inflater", Watched)
    loop_thread = threading.current_thread()
    data = gzip.compress(b"a" * LIMIT)
    await client.post("/", content=data, headers=encoded("gzip"))
    assert threads[: inflating.INLINE_STEPS] == [loop_thread] * inflating.INLINE_STEPS
    assert loop_thread not in threads[inflating.INLINE_STEPS :]
