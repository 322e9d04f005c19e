"""Connections to checked addresses only: a name is looked up once, and what was judged is used."""

import asyncio
from collections.abc import Iterable
from typing import Final

import httpcore

from server.errors import ImageFetchFailed
from server.images.fetch.address_policy import Address, AddressPolicy
from server.images.fetch.literal import parse_literal_address
from server.images.fetch.refusals import refuse_forbidden_host
from server.images.fetch.resolver import Resolver, UnknownHost

SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)
NO_TIMEOUT_S: Final = 60.0


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects for httpcore, which speaks TLS to the name over what it gets here."""

    def __init__(self, resolver: Resolver, addresses: AddressPolicy) -> None:
        self._resolver = resolver
        self._addresses = addresses
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of a host's addresses that answers.

        Raises `ImageUrlForbidden` where one of them is refused, `ImageFetchFailed` where there is
        none, both of which httpcore passes on and does not repeat; else httpcore's errors.
        """
        try:
            async with asyncio.timeout(timeout or NO_TIMEOUT_S) as limit:
                addresses = await self._checked(host, port)
                for at, address in enumerate(addresses, start=1):
                    try:
                        return await self._network.connect_tcp(
                            str(address),
                            port,
                            # One that does not answer leaves time for those behind it.
                            timeout=_left(limit) / (len(addresses) - at + 1),
                            local_address=local_address,
                            socket_options=socket_options,
                        )
                    except (httpcore.ConnectError, httpcore.ConnectTimeout):
                        if at == len(addresses):
                            raise
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        raise ImageFetchFailed("The image's host name could not be resolved.")

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        socket_options: Iterable[SocketOption] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: nothing that images come from is behind one."""
        raise refuse_forbidden_host()

    async def sleep(self, seconds: float) -> None:
        """Wait between two attempts."""
        await asyncio.sleep(seconds)

    async def _checked(self, host: str, port: int) -> list[Address]:
        literal = parse_literal_address(host)
        addresses = [literal] if literal else await self._resolve(host, port)
        # All of them: which one is used is then no matter of chance.
        if not all(map(self._addresses.permits, addresses)):
            raise refuse_forbidden_host()
        return addresses

    async def _resolve(self, host: str, port: int) -> list[Address]:
        try:
            return await self._resolver.resolve(host, port)
        except UnknownHost:
            return []


def _left(limit: asyncio.Timeout) -> float:
    end = limit.when() or 0.0
    return max(0.001, end - asyncio.get_running_loop().time())
