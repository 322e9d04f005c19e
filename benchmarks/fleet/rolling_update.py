"""A rolling update: all replicas are replaced, some at a time."""

from collections.abc import Callable

from simpy.events import AllOf

from benchmarks.fleet.cell import Cell
from benchmarks.fleet.engine import Steps
from benchmarks.fleet.replica import Replica


def build_update(at_s: float, *, new_first: bool) -> Callable[[Cell], Steps]:
    """Return an update that begins at a time.

    With `new_first` (surge), new replicas are ready before old ones drain. Otherwise, old ones
    drain first, and the cell is smaller meanwhile.
    """

    def update(cell: Cell) -> Steps:
        yield cell.env.timeout(at_s)
        old = list(cell.rotation)
        size = max(1, round(cell.parameters.surge * len(old)))
        for start in range(0, len(old), size):
            group = old[start : start + size]
            for step in (_start, _drain) if new_first else (_drain, _start):
                yield step(cell, group)

    return update


def _start(cell: Cell, group: list[Replica]) -> AllOf:
    return cell.env.all_of(
        [cell.env.process(cell.start_replica(cell.parameters.start_s)) for _ in group]
    )


def _drain(cell: Cell, group: list[Replica]) -> AllOf:
    return cell.env.all_of([cell.env.process(cell.drain_replica(each)) for each in group])
