"""Ends a replica's listening, so that HAProxy sends it nothing more."""

import os
import socket
from contextlib import suppress

import psutil


def stop_listening(port: int) -> None:
    """Refuse new connections to a TCP port of this process; Ray's uvicorn offers no handle.

    HAProxy tries another replica where a connection is refused, but not where a request was taken
    and lost.
    """
    for connection in psutil.Process().net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
            with suppress(OSError), socket.socket(fileno=os.dup(connection.fd)) as listener:
                listener.shutdown(socket.SHUT_RDWR)
