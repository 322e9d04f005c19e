"""ASGI middleware around everything that Ray Serve answers in a replica.

Ray calls `list_middlewares` in each replica: `ray_variables` names it.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from ray.serve._private.constants import (
    SERVE_HTTP_REQUEST_DISCONNECT_DISABLED_HEADER,
    SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER,
    SERVE_MULTIPLEXED_MODEL_ID,
    SERVE_SESSION_ID,
)
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.api.error_response import build_error_response
from server.api.scope import route_path
from server.errors import ApiError, DeadlineExceeded, NotFound, TooManyRequests, Unavailable

# Ray's own paths, which HAProxy uses for health checks.
RAY_PREFIX: Final = "/-/"
REQUEST_ID: Final = "x-request-id"
RETRY_AFTER_S: Final = 1
# Headers that Ray interprets, with `-` for `_`.
RAY_HEADERS: Final = frozenset(
    name.replace("_", "-").encode()
    for name in (
        SERVE_HTTP_REQUEST_DISCONNECT_DISABLED_HEADER,
        SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER,
        SERVE_MULTIPLEXED_MODEL_ID,
        SERVE_SESSION_ID,
    )
)
# Ray neither reads the body nor watches for disconnects: the server does both.
READ_BY_SERVER: Final = (SERVE_HTTP_REQUEST_DISCONNECT_DISABLED_HEADER.encode(), b"?1")
# Ray's refusals are plain text, unlike the server's.
REFUSALS: Final[dict[int, ApiError]] = {
    404: NotFound("There is no such path."),
    408: DeadlineExceeded("The request took longer than its limit."),
    429: TooManyRequests("The replica is busy.", retry_after=RETRY_AFTER_S),
    500: ApiError("The server failed to handle the request."),
    503: Unavailable("No replica can take the request.", retry_after=RETRY_AFTER_S),
}


def list_middlewares() -> list[Middleware]:
    """Return the middleware for Ray Serve to put around its own handling of a request."""
    return [Middleware(ProxyMiddleware)]


class ProxyMiddleware:
    """Takes the client's address from HAProxy, and gives Ray's refusals the API's shape.

    Headers with which a client could control or break Ray are removed. The body is left to the
    server: Ray would read all of it into memory, however slowly the server takes it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or route_path(scope).startswith(RAY_PREFIX):
            await self._app(scope, receive, send)
            return
        _take_client_address(scope)
        scope["headers"] = [*_keep_harmless(scope["headers"]), READ_BY_SERVER]
        refusal: ApiError | None = None

        async def send_translated(message: Message) -> None:
            nonlocal refusal
            if message["type"] == "http.response.start":
                refusal = _find_refusal(message)
                if refusal is not None:
                    await build_error_response(refusal)(scope, receive, send)
                    return
                _keep_one_request_id(message)
            if refusal is None:
                await send(message)

        await self._app(scope, receive, send_translated)


def _keep_harmless(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the headers that Ray does not interpret, and a request id that it can decode."""
    for name, value in headers:
        is_id = name == REQUEST_ID.encode()
        if name.replace(b"_", b"-") not in RAY_HEADERS and not (is_id and not value.isascii()):
            yield name, value


def _take_client_address(scope: Scope) -> None:
    """Name the client instead of HAProxy, which appends the address that it was called from."""
    forwarded = Headers(scope=scope).getlist("x-forwarded-for")
    address = forwarded[-1].rpartition(",")[2].strip() if forwarded else ""
    if address and scope["client"] is not None:
        scope["client"] = (address, scope["client"][1])


def _find_refusal(message: Message) -> ApiError | None:
    headers = MutableHeaders(scope=message)
    is_text = headers.get("content-type", "").startswith("text/plain")
    return REFUSALS.get(message["status"]) if is_text else None


def _keep_one_request_id(message: Message) -> None:
    """Drop the id that Ray appends to ours, which is the same."""
    headers = MutableHeaders(scope=message)
    ids = headers.getlist(REQUEST_ID)
    if len(ids) > 1:
        headers[REQUEST_ID] = ids[0]
