"""Samples of a cell over time, as a scrape of all replicas would see it."""

from dataclasses import dataclass
from typing import Final

from benchmarks.fleet.cell import Cell
from benchmarks.fleet.engine import Steps

SAMPLE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One scrape; `kv_usage`, `running` and `waiting` are averages over the replicas."""

    time_s: float
    ready: int
    starting: int
    kv_usage: float
    running: float
    waiting: float
    busiest: int  # requests in flight at the replica that has most of them
    in_flight: float  # on average


def take_sample(cell: Cell) -> Sample:
    """Scrape every replica in rotation."""
    return Sample(
        time_s=cell.env.now,
        ready=len(cell.rotation),
        starting=cell.num_starting,
        kv_usage=cell.average(lambda replica: replica.engine.kv_cache.usage),
        running=cell.average(lambda replica: replica.engine.num_running),
        waiting=cell.average(lambda replica: replica.engine.num_waiting),
        busiest=max((replica.num_requests for replica in cell.rotation), default=0),
        in_flight=cell.average(lambda replica: replica.num_requests),
    )


def watch(cell: Cell, samples: list[Sample]) -> Steps:
    """Append a sample every `SAMPLE_S`."""
    while True:
        yield cell.env.timeout(SAMPLE_S)
        samples.append(take_sample(cell))
