"""From a host's name to its addresses."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

import aiodns


class UnknownHost(Exception):
    """The name has no addresses, or nobody said which."""


class Resolver(Protocol):
    """Looks names up."""

    async def resolve(self, host: str, port: int) -> list[IPv4Address | IPv6Address]:
        """Return the addresses of a name, best first. Raises `UnknownHost`."""


class SystemResolver:
    """Asks as the system is configured (hosts file, resolv.conf).

    c-ares waits for all answers in one thread: the event loop's own look-ups take a thread each,
    and strangers' slow names could hold all of them.
    """

    def __init__(self) -> None:
        self._resolver: aiodns.DNSResolver | None = None

    async def resolve(self, host: str, port: int) -> list[IPv4Address | IPv6Address]:
        """Return the addresses of a name, best first. Raises `UnknownHost`."""
        if self._resolver is None:  # it belongs to the event loop, so it waits for one
            self._resolver = aiodns.DNSResolver()
        try:
            found = await self._resolver.getaddrinfo(host, port=port, type=socket.SOCK_STREAM)
        except aiodns.error.DNSError:
            raise UnknownHost from None
        return [_address(node.addr[0]) for node in found.nodes]

    async def close(self) -> None:
        """Give up what is being looked up."""
        if self._resolver is not None:
            await self._resolver.close()


def _address(text: str | bytes) -> IPv4Address | IPv6Address:
    return ip_address(text if isinstance(text, str) else text.decode("ascii"))
