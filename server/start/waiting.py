"""Answers on the server's own sockets while its model is pulled, which may take half an hour."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import uvicorn

from server.api.edge.limits import ConnectionTable
from server.api.edge.protocol import build_protocol_class
from server.api.pulling import build_pulling_app
from server.connection_limits import build_connection_limits
from server.settings import Settings
from server.start.preparation import Preparation
from server.telemetry.refusal_log import RefusalLog

STOP_TIMEOUT_S: Final = 2.0


@contextmanager
def answer_while_pulling(prepared: Preparation, describe: Callable[[], str]) -> Iterator[None]:
    """Answer for a block, on the admin port, too; `describe` says how far the pull is.

    What connects in the moment after the block waits for the server.
    """
    with ExitStack() as stack:
        for listener, tls in ((prepared.listener, prepared.tls), (prepared.admin_listener, {})):
            if listener is not None:
                stack.enter_context(_answer(listener, tls, prepared.settings, describe))
        yield


@contextmanager
def _answer(
    listener: socket.socket, tls: dict[str, Any], settings: Settings, describe: Callable[[], str]
) -> Iterator[None]:
    server = uvicorn.Server(_configure(settings, tls, describe))
    copy = listener.dup()  # uvicorn closes what it has listened on
    thread = threading.Thread(target=server.run, args=([copy],), name="pulling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(STOP_TIMEOUT_S)


def _configure(
    settings: Settings, tls: dict[str, Any], describe: Callable[[], str]
) -> uvicorn.Config:
    limits = build_connection_limits(settings)
    return uvicorn.Config(
        build_pulling_app(describe),
        http=build_protocol_class(
            limits, ConnectionTable(limits), RefusalLog(), settings.cors_allow_origins
        ),
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        root_path=settings.root_path,
        **tls,
    )
