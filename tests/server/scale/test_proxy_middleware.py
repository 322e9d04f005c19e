"""What Ray Serve answers by itself has the API's shape, and clients keep their addresses."""

from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from server.scale.proxy_middleware import ProxyMiddleware


async def ask(app: ASGIApp, path: str = "/v1/models", **headers: str) -> httpx.Response:
    """Ask an application with the middleware around it."""
    transport = httpx.ASGITransport(ProxyMiddleware(app), client=("127.0.0.1", 4000))
    async with httpx.AsyncClient(transport=transport, base_url="http://replica") as http:
        return await http.get(path, headers=headers)


@pytest.mark.parametrize(
    ("status", "code", "retry_after"),
    [
        (404, "not_found", None),
        (408, "deadline_exceeded", None),
        (429, "rate_limit_exceeded", "1"),
        (500, "internal_error", None),
        (503, "service_unavailable", "1"),
    ],
)
async def test_a_refusal_in_plain_text_becomes_an_error(
    status: int, code: str, retry_after: str | None
) -> None:
    response = await ask(PlainTextResponse("Request dropped due to backpressure", status))
    assert response.json()["error"]["code"] == code
    assert response.headers.get("retry-after") == retry_after
    assert "backpressure" not in response.text


@pytest.mark.parametrize(
    "answer",
    [JSONResponse({"error": {}}, 503), PlainTextResponse("metrics"), Response(status_code=204)],
    ids=["own error", "text", "empty"],
)
async def test_what_the_server_answers_stays(answer: Response) -> None:
    response = await ask(answer)
    assert (response.status_code, response.content) == (answer.status_code, answer.body)


async def test_ray_s_own_paths_stay() -> None:
    response = await ask(PlainTextResponse("unhealthy", 503), "/-/healthz")
    assert response.text == "unhealthy"


async def test_one_request_id_is_left() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        headers: Any = [(b"x-request-id", b"one"), (b"x-request-id", b"one")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    assert (await ask(app)).headers.get_list("x-request-id") == ["one"]


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [("10.0.0.7", "10.0.0.7"), ("6.6.6.6, 10.0.0.7", "10.0.0.7"), (None, "127.0.0.1")],
)
async def test_the_client_s_address_is_the_last_one_named(
    forwarded: str | None, address: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        client = Request(scope).client
        assert client is not None
        await JSONResponse(client.host)(scope, receive, send)

    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    assert (await ask(app, **headers)).json() == address


async def test_ray_gets_no_header_that_steers_it() -> None:
    seen: dict[str, str] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for name, value in scope["headers"]:
            value.decode()  # as Ray does
            seen[name.decode()] = value.decode()
        await Response()(scope, receive, send)

    transport = httpx.ASGITransport(ProxyMiddleware(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://replica") as http:
        await http.get(
            "/v1/models",
            headers=[
                (b"x-request-id", b"\xff"),
                (b"serve_multiplexed_model_id", b"\xff"),
                (b"X-Session-Id", b"\xff"),
                (b"x-request-timeout-seconds", b"0.001"),
                (b"x-request-disconnect-disabled", b"?0"),
                (b"x-llava-affinity", b"mine"),
            ],
        )
    assert seen["x-request-disconnect-disabled"] == "?1"
    assert seen["x-llava-affinity"] == "mine"
    assert not seen.keys() & {"x-request-id", "x-session-id", "x-request-timeout-seconds"}
