"""The admin port: metrics and probes on a listener, thread and event loop of their own.

So they answer however busy the main event loop is, and a scrape does not hold requests up.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from server.api.admin import build_admin_app
from server.api.runtime import Runtime
from server.listening import format_url
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
    server = uvicorn.Server(_configure(runtime))
    thread = threading.Thread(target=server.run, args=([listener],), name="admin port", daemon=True)
    thread.start()
    log.info("admin port open", url=format_url(listener, is_tls=False))
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(STOP_TIMEOUT_S)


def _configure(runtime: Runtime) -> uvicorn.Config:
    return uvicorn.Config(
        build_admin_app(runtime),
        http="httptools",  # "auto" is the edge's protocol in a replica
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )
