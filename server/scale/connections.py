"""The connections of a replica, and their end when its engine has failed."""

import asyncio
import os
import socket
from contextlib import suppress

import psutil

from server.api.edge.protocol import EdgeProtocol


class Connections:
    """The connections from HAProxy, which sends each request on one that is open and idle.

    It tries another replica where a connection is refused, but not where a request was taken and
    lost. So whoever is to end must first refuse, and only then answer with errors.
    """

    def __init__(self) -> None:
        self._open: set[EdgeProtocol] = set()
        self._are_refused = False

    def track(self, protocol: type[EdgeProtocol]) -> type[EdgeProtocol]:
        """Return the protocol with its connections known here."""
        connections = self._open

        class TrackedProtocol(protocol):  # type: ignore[misc, valid-type]
            def connection_made(self, transport: asyncio.Transport) -> None:
                connections.add(self)
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                connections.discard(self)
                super().connection_lost(exc)

        return TrackedProtocol

    def refuse_more(self) -> None:
        """Refuse new connections at once; those that are open end after their response."""
        if self._are_refused:
            return
        self._are_refused = True
        for port in {connection.server[1] for connection in self._open if connection.server}:
            _stop_listening(port)
        for connection in tuple(self._open):
            connection.shutdown()


def _stop_listening(port: int | None) -> None:
    """Stop this process listening on a port; Ray's uvicorn offers no handle."""
    for connection in psutil.Process().net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
            with suppress(OSError), socket.socket(fileno=os.dup(connection.fd)) as listener:
                listener.shutdown(socket.SHUT_RDWR)
