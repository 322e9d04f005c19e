"""Ends a replica's listening, so that HAProxy sends it nothing more."""

import os
import socket
from contextlib import suppress

import psutil
from ray.serve._private.constants import (
    RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT,
    RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT,
)


def stop_listening() -> None:
    """Refuse new connections from HAProxy; Ray's uvicorn offers no handle, only a range of ports.

    HAProxy tries another replica if a connection is refused, but not if a request was accepted and
    lost.
    """
    ports = range(
        RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT, RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT + 1
    )
    for connection in psutil.Process().net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port in ports:
            with suppress(OSError), socket.socket(fileno=os.dup(connection.fd)) as listener:
                listener.shutdown(socket.SHUT_RDWR)
