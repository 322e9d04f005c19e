"""Faults: a node that is lost with all its replicas, and replaced."""

from collections.abc import Callable

from benchmarks.fleet.cell import Cell
from benchmarks.fleet.engine import Steps


def build_loss(at_s: float, replicas: int) -> Callable[[Cell], Steps]:
    """Return the loss of some replicas at once; as many start once the router has noticed."""

    def lose(cell: Cell) -> Steps:
        yield cell.env.timeout(at_s)
        lost = cell.rotation[:replicas]
        yield cell.env.all_of([cell.env.process(cell.lose_replica(each)) for each in lost])
        for _ in lost:
            cell.env.process(cell.start_replica(cell.parameters.start_s))

    return lose
