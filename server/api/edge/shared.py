"""State that all connections of a server share."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from server.api.edge.idle import IdleConnections
from server.api.edge.limits import ConnectionLimits, ConnectionTable
from server.api.edge.refusals import EdgeObserver, ResponseBytes
from server.api.edge.sweep import Sweep

# An ASGI extension: a function that returns whether the client's socket takes no more bytes.
WRITE_PAUSED: Final = "llava.write_paused"


@dataclass(frozen=True, slots=True)
class Edge:
    """Limits, counts and canned responses of one server."""

    limits: ConnectionLimits
    table: ConnectionTable
    observer: EdgeObserver
    sweep: Sweep
    idle: IdleConnections
    responses: ResponseBytes
    cors_allow_origins: Collection[str] = ()
