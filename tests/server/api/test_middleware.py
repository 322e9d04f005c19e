"""Request ids and the limit on bodies, around an application that does little."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.api.error_response import build_error_response
from server.api.middleware import BodyLimit, RequestId
from server.errors import ApiError

LIMIT = 100
NEW_ID = re.compile(r"[0-9a-f]{32}")


async def echo(request: Request) -> Response:
    """Tell what arrived."""
    return JSONResponse({"id": request.state.request_id, "length": len(await request.body())})


async def api_error(_: Request, error: Exception) -> Response:
    """Answer as the real application does."""
    assert isinstance(error, ApiError)
    return build_error_response(error)


async def missing(_: Request) -> Response:
    """Fail."""
    raise HTTPException(404)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of a small application behind both middlewares."""
    app = Starlette(
        routes=[Route("/", echo, methods=["POST"]), Route("/missing", missing)],
        middleware=[Middleware(RequestId), Middleware(BodyLimit, max_bytes=LIMIT)],
        exception_handlers={ApiError: api_error},
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def chunks(count: int, size: int = 10) -> AsyncIterator[bytes]:
    """Send a body in pieces and without its length."""
    for _ in range(count):
        yield b"x" * size


def assert_too_large(response: httpx.Response) -> None:
    """See the error in OpenAI's shape, with an id of its own."""
    assert response.status_code == 413
    assert response.json()["error"] == {
        "message": f"The request body exceeds the limit of {LIMIT} bytes.",
        "type": "invalid_request_error",
        "param": None,
        "code": "request_too_large",
    }
    assert NEW_ID.fullmatch(response.headers["x-request-id"])


@pytest.mark.parametrize("length", [0, 1, LIMIT])
async def test_bodies_up_to_the_limit_pass(length: int, client: httpx.AsyncClient) -> None:
    response = await client.post("/", content=b"x" * length)
    assert response.json()["length"] == length


async def test_a_body_in_pieces_up_to_the_limit_passes(client: httpx.AsyncClient) -> None:
    response = await client.post("/", content=chunks(LIMIT // 10))
    assert "content-length" not in response.request.headers
    assert response.json()["length"] == LIMIT


async def test_a_declared_length_over_the_limit_is_refused_unread(
    client: httpx.AsyncClient,
) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"x"

    response = await client.post("/", content=body(), headers={"content-length": str(LIMIT + 1)})
    assert_too_large(response)
    assert read == 0


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
    response = await client.post("/", content=chunks(20), headers={"content-length": "5"})
    assert_too_large(response)


@pytest.mark.parametrize("length", ["", "-1", "1e3", "x", "\u00b2"])
async def test_a_length_that_is_no_number_counts_for_nothing(
    length: str, client: httpx.AsyncClient
) -> None:
    headers = {b"content-length": length.encode("latin-1")}
    response = await client.post("/", content=chunks(1), headers=headers)
    assert response.json()["length"] == 10


@pytest.mark.parametrize(
    "request_id", ["abc", "A-b_c.1", "x" * 64, "3f2504e0-4f89-11d3-9a0c-0305e82c3301"]
)
async def test_a_usable_id_is_kept(request_id: str, client: httpx.AsyncClient) -> None:
    response = await client.post("/", headers={"X-Request-ID": request_id})
    assert response.headers.get_list("x-request-id") == [request_id]
    assert response.json()["id"] == request_id


@pytest.mark.parametrize(
    "request_id",
    ["", "x" * 65, "a b", "a/b", "a\tb", '"', "<b>", "a;b", "\u00e9", "a\n", "${jndi:x}"],
)
async def test_any_other_id_is_replaced(request_id: str, client: httpx.AsyncClient) -> None:
    headers = {b"x-request-id": request_id.encode("latin-1")}
    response = await client.post("/", headers=headers)
    assert NEW_ID.fullmatch(response.headers["x-request-id"])
    assert response.json()["id"] == response.headers["x-request-id"]


async def test_every_request_gets_an_id_of_its_own(client: httpx.AsyncClient) -> None:
    ids = {(await client.post("/")).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


async def test_errors_carry_the_id_too(client: httpx.AsyncClient) -> None:
    response = await client.get("/missing", headers={"x-request-id": "abc"})
    assert response.status_code == 404
    assert response.headers["x-request-id"] == "abc"


async def test_other_connections_pass_untouched() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    scope, receive, send = {"type": "lifespan"}, object(), object()
    whole: Any = RequestId(BodyLimit(app, max_bytes=LIMIT))
    await whole(scope, receive, send)
    assert seen == [({"type": "lifespan"}, receive, send)]
