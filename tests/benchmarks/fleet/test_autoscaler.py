"""Autoscaling: how many replicas, and when."""

import pytest

from benchmarks.fleet.autoscaler import Autoscaler, count_missing
from benchmarks.fleet.conversation import Header
from benchmarks.fleet.routers import Policy
from benchmarks.fleet.samples import Sample
from benchmarks.fleet.simulation import Simulation
from tests.benchmarks.fleet.cells import build_setup


@pytest.mark.parametrize(
    ("ready", "starting", "usage", "waiting", "missing"),
    [
        (8, 0, 0.9, 0, 2),
        (8, 1, 0.9, 0, 1),
        (8, 2, 0.9, 0, 0),
        (8, 0, 0.2, 0, 0),
        (8, 0, 0.2, 0.5, 3),  # what waits found no room: all of it is in use
    ],
)
def test_as_many_start_as_bring_usage_to_the_target(
    ready: int, starting: int, usage: float, waiting: float, missing: int
) -> None:
    sample = Sample(0, ready, starting, usage, 10, waiting, 10, 10)
    assert count_missing(sample, 0.75) == missing


def scale(rate: float) -> Simulation:
    """Run two replicas with autoscaling."""
    setup = build_setup(
        rate, replicas=2, seconds=70, policy=Policy.LEAST_REQUESTS, header=Header.NONE
    )
    return Simulation(setup).run(Autoscaler(start_s=20.0).run)


def test_it_waits_for_its_window_and_for_the_start() -> None:
    run = scale(40)
    grown = next(sample.time_s for sample in run.samples if sample.ready > 2)
    assert grown >= 30 + 20
    assert len(run.cell.rotation) > 2


def test_it_leaves_a_cell_alone_that_has_room() -> None:
    run = scale(6)
    assert len(run.cell.rotation) == 2
    assert not run.cell.num_starting
