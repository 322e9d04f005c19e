"""httpx's transport over the guarded network, and the limit of connections to one host."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any, Final
from weakref import WeakValueDictionary

import httpcore
import httpx

from server.images.fetch.network import GuardedNetwork

MAX_CONNECTIONS: Final = 100
MAX_IDLE_CONNECTIONS: Final = 20
IDLE_S: Final = 5.0
# Of a connection that could not be made; a refused address is no such failure.
RETRIES: Final = 1
LIMITS: Final = httpx.Limits(
    max_connections=MAX_CONNECTIONS,
    max_keepalive_connections=MAX_IDLE_CONNECTIONS,
    keepalive_expiry=IDLE_S,
)


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport, whose connections the guarded network makes."""

    def __init__(self, network: GuardedNetwork, ssl_context: ssl.SSLContext) -> None:
        super().__init__(verify=ssl_context, trust_env=False)
        # httpx has no parameter for it.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_S,
            retries=RETRIES,
            network_backend=network,
        )


class PerHostLimitTransport(httpx.AsyncBaseTransport):
    """Asks one host so many things at a time, and once more where it hung up on a kept connection.

    So one slow host cannot take all connections.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, per_host: int) -> None:
        self._transport = transport
        self._per_host = per_host
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; its host's turn ends when the response is closed."""
        turn = self._turns.setdefault(request.url.host, asyncio.Semaphore(self._per_host))
        await turn.acquire()
        try:
            response = await self._send(request)
        except BaseException:
            turn.release()
            raise
        response.stream = _Turn(response.stream, turn)
        return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        connected = False

        async def trace(event: str, _: dict[str, Any]) -> None:
            nonlocal connected
            connected |= event == "connection.connect_tcp.started"

        request.extensions = {**request.extensions, "trace": trace}
        try:
            return await self._transport.handle_async_request(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # On a fresh connection this is the server's answer; a kept one may just have ended.
            if connected:
                raise
            return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close idle connections."""
        await self._transport.aclose()


class _Turn(httpx.AsyncByteStream):
    """A body whose end, or whose reader's, ends a turn."""

    def __init__(self, stream: object, turn: asyncio.Semaphore) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101
        self._stream = stream
        self._turn: asyncio.Semaphore | None = turn

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        turn, self._turn = self._turn, None
        try:
            await self._stream.aclose()
        finally:
            if turn is not None:
                turn.release()
