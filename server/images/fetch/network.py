"""Connects to checked addresses only. A name is resolved once, and the checked address is used."""

import asyncio
from collections.abc import Iterable
from typing import Final

import httpcore

from server.images.fetch.address_policy import (
    Address,
    AddressPolicy,
    build_forbidden_host_error,
    parse_literal_address,
)
from server.images.fetch.errors import FetchFailed
from server.images.fetch.resolver import Resolver, UnknownHost

SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)
DEFAULT_TIMEOUT_S: Final = 60.0


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """httpcore's network backend. httpcore itself speaks TLS over the connection, to the name."""

    def __init__(self, resolver: Resolver, address_policy: AddressPolicy) -> None:
        self._resolver = resolver
        self._address_policy = address_policy
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

        Raises `UrlForbidden` if one of them is forbidden and `FetchFailed` if there is
        none; httpcore passes both on without a retry. Raises httpcore's errors otherwise.
        """
        try:
            async with asyncio.timeout(timeout or DEFAULT_TIMEOUT_S) as timeout_scope:
                addresses = await self._find_addresses(host, port)
                for number, address in enumerate(addresses, start=1):
                    try:
                        return await self._network.connect_tcp(
                            str(address),
                            port,
                            # An address that does not answer leaves time for the next ones.
                            timeout=_remaining_s(timeout_scope) / (len(addresses) - number + 1),
                            local_address=local_address,
                            socket_options=socket_options,
                        )
                    except (httpcore.ConnectError, httpcore.ConnectTimeout):
                        if number == len(addresses):
                            raise
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        raise FetchFailed("The host name could not be resolved.")

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        socket_options: Iterable[SocketOption] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: nothing comes from a Unix socket."""
        raise build_forbidden_host_error()

    async def sleep(self, seconds: float) -> None:
        """Wait between two attempts."""
        await asyncio.sleep(seconds)

    async def _find_addresses(self, host: str, port: int) -> list[Address]:
        literal = parse_literal_address(host)
        addresses = [literal] if literal else await self._resolve(host, port)
        # All must be allowed: which one is used must not be a matter of chance.
        if not all(map(self._address_policy.is_allowed, addresses)):
            raise build_forbidden_host_error()
        return addresses

    async def _resolve(self, host: str, port: int) -> list[Address]:
        try:
            return await self._resolver.resolve(host, port)
        except UnknownHost:
            return []


def _remaining_s(timeout_scope: asyncio.Timeout) -> float:
    deadline = timeout_scope.when() or 0.0
    return max(0.001, deadline - asyncio.get_running_loop().time())
