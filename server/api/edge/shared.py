"""State that all connections of a server share."""

from dataclasses import dataclass

from server.api.edge.limits import ConnectionLimits, ConnectionTable
from server.api.edge.refusals import EdgeObserver, ResponseBytes
from server.api.edge.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Edge:
    """Limits, counts and canned responses of one server."""

    limits: ConnectionLimits
    table: ConnectionTable
    observer: EdgeObserver
    sweep: Sweep
    responses: ResponseBytes
