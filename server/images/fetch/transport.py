"""httpx's transport over the guarded network, and a limit on requests per host."""

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
KEEPALIVE_S: Final = 5.0
# Of a failed connection attempt; a forbidden address is not retried.
RETRIES: Final = 1
LIMITS: Final = httpx.Limits(
    max_connections=MAX_CONNECTIONS,
    max_keepalive_connections=MAX_IDLE_CONNECTIONS,
    keepalive_expiry=KEEPALIVE_S,
)


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport over connections of the guarded network."""

    def __init__(self, network: GuardedNetwork, ssl_context: ssl.SSLContext) -> None:
        super().__init__(verify=ssl_context, trust_env=False)
        # httpx has no parameter for the network backend.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_S,
            retries=RETRIES,
            network_backend=network,
        )


class PerHostLimitTransport(httpx.AsyncBaseTransport):
    """Sends at most `max_per_host` requests to one host at a time.

    So one slow host cannot take all connections. A request is retried once if the host had closed
    the kept-alive connection.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, max_per_host: int) -> None:
        self._transport = transport
        self._max_per_host = max_per_host
        self._semaphores: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. It counts against its host's limit until the response is closed."""
        semaphore = self._semaphores.setdefault(
            request.url.host, asyncio.Semaphore(self._max_per_host)
        )
        await semaphore.acquire()
        try:
            response = await self._send(request)
        except BaseException:
            semaphore.release()
            raise
        response.stream = _ReleasingStream(response.stream, semaphore)
        return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        has_connected = False

        async def trace(event: str, _: dict[str, Any]) -> None:
            nonlocal has_connected
            has_connected |= event == "connection.connect_tcp.started"

        request.extensions = {**request.extensions, "trace": trace}
        try:
            return await self._transport.handle_async_request(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # On a new connection this is the server's answer; a kept-alive one may be closed.
            if has_connected:
                raise
            return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close idle connections."""
        await self._transport.aclose()


class _ReleasingStream(httpx.AsyncByteStream):
    """A response body that releases a semaphore when it is closed."""

    def __init__(self, stream: object, semaphore: asyncio.Semaphore) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101
        self._stream = stream
        self._semaphore: asyncio.Semaphore | None = semaphore

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk

    async def aclose(self) -> None:
        semaphore, self._semaphore = self._semaphore, None
        try:
            await self._stream.aclose()
        finally:
            if semaphore is not None:
                semaphore.release()
