"""Limits on connections, and the count of connections per client address."""

import socket
from dataclasses import dataclass

from server.api.edge.refusals import RefusalReason

KIB = 1024
MIB = 1024 * KIB
IPV4_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, RFC 4291


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of one connection, of one client address and of all connections.

    Times are in seconds, checked every `sweep_interval_s`, so they may end that much later.
    """

    # All bytes before the headers are complete; also chunk extensions and trailers.
    max_header_bytes: int = 32 * KIB
    max_header_lines: int = 128
    max_connections: int = 4096
    max_connections_per_address: int = 1024
    # Refused or finished connections that still discard input; more are closed at once.
    max_lingering: int = 512
    # Requests parsed ahead while another is answered.
    max_pipelined: int = 8
    # From a request's first byte, or from the accept, to the end of its headers.
    header_timeout_s: float = 15.0
    # Between two requests. Longer than the idle timeouts of common load balancers.
    keep_alive_timeout_s: float = 75.0
    # Rate of a body while the application waits for it, per window of `body_grace_s`.
    min_body_bytes_per_s: float = 16 * KIB
    body_grace_s: float = 10.0
    # Without any progress of pending output.
    write_timeout_s: float = 30.0
    # After a response that came before the end of its request, input is discarded as it arrives: a
    # client that still sends does not read, and a reset would take the response from it. These are
    # the longest time without input, the longest time in all, and the most bytes.
    linger_s: float = 2.0
    max_linger_s: float = 30.0
    # A declared body up to this size is read to its end instead, and the connection goes on.
    max_drained_bytes: int = 4 * MIB
    max_discarded_bytes: int = 256 * MIB
    retry_after_s: int = 1
    sweep_interval_s: float = 1.0


class ConnectionTable:
    """Counts open connections, overall and per client address."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.open_connections = 0
        self.lingering_connections = 0
        self._limits = limits
        self._by_address: dict[bytes, int] = {}

    def admit(self, address: str | None) -> RefusalReason | None:
        """Count a new connection, or return why it is refused. Unix sockets have no address."""
        if self.open_connections >= self._limits.max_connections:
            return RefusalReason.CONNECTIONS
        if address is not None:
            key = build_address_key(address)
            count = self._by_address.get(key, 0)
            if count >= self._limits.max_connections_per_address:
                return RefusalReason.CONNECTIONS_PER_ADDRESS
            self._by_address[key] = count + 1
        self.open_connections += 1
        return None

    def release(self, address: str | None) -> None:
        """Uncount a connection that `admit` counted."""
        self.open_connections -= 1
        if address is None:
            return
        key = build_address_key(address)
        if self._by_address[key] == 1:
            del self._by_address[key]
        else:
            self._by_address[key] -= 1

    def start_linger(self) -> bool:
        """Count a connection that discards input before it closes; False if there are too many."""
        if self.lingering_connections >= self._limits.max_lingering:
            return False
        self.lingering_connections += 1
        return True

    def end_linger(self) -> None:
        """Uncount a connection that `start_linger` counted."""
        self.lingering_connections -= 1

    def count_connections(self, address: str) -> int:
        """Return the number of open connections of a client address."""
        return self._by_address.get(build_address_key(address), 0)


def build_address_key(address: str) -> bytes:
    """Return the key of one client: an IPv4 address, or the /64 of an IPv6 address.

    A single IPv6 host usually has a /64 to itself (RFC 6177).
    """
    host = address.partition("%")[0]  # without the zone of a link-local address
    if ":" not in host:
        return host.encode()
    packed = socket.inet_pton(socket.AF_INET6, host)
    if packed.startswith(IPV4_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[12:]).encode()
    return packed[:8]
