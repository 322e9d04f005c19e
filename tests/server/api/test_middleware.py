"""Request ids, around an application that does little."""

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
from server.api.middleware import RequestId
from server.errors import ApiError

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
    """Return a client of a small application behind the middleware."""
    app = Starlette(
        routes=[Route("/", echo, methods=["POST"]), Route("/missing", missing)],
        middleware=[Middleware(RequestId)],
        exception_handlers={ApiError: api_error},
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


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
    whole: Any = RequestId(app)
    await whole(scope, receive, send)
    assert seen == [({"type": "lifespan"}, receive, send)]
