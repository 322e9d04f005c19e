"""A small server on a thread and an event loop of its own."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp


@contextmanager
def serve_in_thread(
    app: ASGIApp, listener: socket.socket, name: str, stop_timeout_s: float, **options: Any
) -> Iterator[None]:
    """Serve on the listener for a block; `options` are more options of uvicorn.

    uvicorn closes the listener at the end, which takes `stop_timeout_s` seconds at most.
    """
    config = uvicorn.Config(
        app,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        **options,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(stop_timeout_s)
