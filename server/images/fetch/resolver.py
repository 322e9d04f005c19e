"""Resolves host names to IP addresses."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

import aiodns


class UnknownHost(Exception):
    """The name has no addresses, or the look-up failed."""


class Resolver(Protocol):
    """Resolves host names."""

    async def resolve(self, host: str, port: int) -> list[IPv4Address | IPv6Address]:
        """Return the addresses of a name, best first. Raises `UnknownHost`."""


class SystemResolver:
    """Resolves as the system is configured (hosts file, resolv.conf).

    c-ares waits for all answers in one thread. The event loop's own look-ups take a thread each,
    and slow names could exhaust them.
    """

    def __init__(self) -> None:
        self._resolver: aiodns.DNSResolver | None = None

    async def resolve(self, host: str, port: int) -> list[IPv4Address | IPv6Address]:
        """Return the addresses of a name, best first. Raises `UnknownHost`."""
        if self._resolver is None:  # it belongs to the running event loop
            self._resolver = aiodns.DNSResolver()
        try:
            result = await self._resolver.getaddrinfo(host, port=port, type=socket.SOCK_STREAM)
        except aiodns.error.DNSError:
            raise UnknownHost from None
        return [_parse_address(node.addr[0]) for node in result.nodes]

    async def close(self) -> None:
        """Cancel running look-ups."""
        if self._resolver is not None:
            await self._resolver.close()


def _parse_address(text: str | bytes) -> IPv4Address | IPv6Address:
    return ip_address(text if isinstance(text, str) else text.decode("ascii"))
