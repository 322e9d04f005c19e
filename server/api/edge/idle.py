"""Idle connections: at the connection limit, the one idle longest is closed for a new one."""

from typing import Protocol


class Idler(Protocol):
    """A connection that can be closed while it is idle."""

    def close_idle(self) -> None:
        """Close at once, as after the keep-alive timeout."""


class IdleConnections:
    """Idle connections, the longest idle first. Every operation takes constant time."""

    def __init__(self) -> None:
        self._connections: dict[Idler, None] = {}

    def add(self, connection: Idler) -> None:
        """Note that a connection is idle from now on."""
        self._connections[connection] = None

    def discard(self, connection: Idler) -> None:
        """Note that a connection is busy, or gone."""
        self._connections.pop(connection, None)

    def close_longest(self) -> None:
        """Close the connection that has been idle longest, if there is one."""
        connection = next(iter(self._connections), None)
        if connection is not None:
            self.discard(connection)
            connection.close_idle()
