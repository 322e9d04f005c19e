"""Answers on the server's own sockets while the model is pulled, which may take half an hour."""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final

from server.api.edge.limits import ConnectionTable
from server.api.edge.protocol import build_protocol_class
from server.api.pulling import build_pulling_app
from server.connection_limits import build_connection_limits
from server.settings import Settings
from server.side_server import serve_in_thread
from server.start.preparation import Preparation
from server.telemetry.refusal_log import RefusalLog

STOP_TIMEOUT_S: Final = 2.0


@contextmanager
def answer_while_pulling(prepared: Preparation, describe: Callable[[], str]) -> Iterator[None]:
    """Answer for a block, also on the admin port; `describe` returns the progress of the pull.

    Connections made just after the block wait for the server.
    """
    with ExitStack() as stack:
        for listener, tls in ((prepared.listener, prepared.tls), (prepared.admin_listener, {})):
            if listener is not None:
                stack.enter_context(_answer(listener, tls, prepared.settings, describe))
        yield


def _answer(
    listener: socket.socket, tls: dict[str, Any], settings: Settings, describe: Callable[[], str]
) -> AbstractContextManager[None]:
    limits = build_connection_limits(settings)
    protocol = build_protocol_class(
        limits, ConnectionTable(limits), RefusalLog(), settings.cors_allow_origins
    )
    return serve_in_thread(
        build_pulling_app(describe),
        listener.dup(),  # which is closed at the end
        "pulling",
        STOP_TIMEOUT_S,
        http=protocol,
        root_path=settings.root_path,
        **tls,
    )
