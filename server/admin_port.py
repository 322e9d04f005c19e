"""The admin port: metrics and probes on a listener, thread and event loop of their own.

So they answer however busy the main event loop is, and a scrape does not delay requests.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from server.api.admin import build_admin_app
from server.api.runtime import Runtime
from server.listening import format_url
from server.side_server import serve_in_thread
from server.telemetry.logs import get_logger

log = get_logger(__name__)

# More connections get 503: probes and Prometheus need few.
MAX_CONNECTIONS: Final = 64
STOP_TIMEOUT_S: Final = 1.0


@contextmanager
def serve_admin(runtime: Runtime, listener: socket.socket | None) -> Iterator[None]:
    """Serve the admin port for a block, if there is a listener."""
    if listener is None:
        yield
        return
    with serve_in_thread(
        build_admin_app(runtime),
        listener,
        "admin port",
        STOP_TIMEOUT_S,
        http="httptools",  # in a replica, "auto" would be the edge's protocol
        limit_concurrency=MAX_CONNECTIONS,
    ):
        log.info("admin port open", url=format_url(listener, is_tls=False))
        yield
