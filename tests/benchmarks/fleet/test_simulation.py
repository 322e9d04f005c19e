"""A run: the same for the same seed, and every request ends in one way."""

from collections import Counter

import pytest

from benchmarks.fleet.conversation import Header
from benchmarks.fleet.faults import build_loss
from benchmarks.fleet.figures import measure, measure_windows
from benchmarks.fleet.request import Outcome
from benchmarks.fleet.rolling_update import build_update
from benchmarks.fleet.routers import Policy
from benchmarks.fleet.simulation import Simulation
from tests.benchmarks.fleet.cells import SMALL, build_setup, simulate


def test_the_same_seed_gives_the_same_run() -> None:
    first, again, other = (measure(simulate(8, seconds=20, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("policy", Policy)
def test_requests_are_conserved(policy: Policy) -> None:
    run = simulate(60, policy=policy, replicas=2, seconds=12)  # beyond what two can do
    outcomes = Counter(request.outcome for request in run.traffic.requests)
    in_flight = sum(replica.num_requests for replica in run.cell.rotation)
    assert outcomes[Outcome.PENDING] == in_flight
    assert outcomes.total() == len(run.traffic.requests)
    assert outcomes[Outcome.COMPLETED] > 0
    for request in run.traffic.requests:
        assert (request.ended_s >= request.arrived_s) == (request.outcome is not Outcome.PENDING)


def test_windows_add_up_to_the_run() -> None:
    run = simulate(8)
    whole, parts = measure(run), measure_windows(run, 10.0)
    assert len(parts) == 3
    for name in ("offered", "completed"):
        total = sum(getattr(part, name) for part in parts) / len(parts)
        assert total == pytest.approx(getattr(whole, name))


def test_affinity_finds_more_in_the_caches_than_least_requests() -> None:
    echoed = measure(simulate(10, header=Header.ECHOED))
    least = measure(simulate(10, policy=Policy.LEAST_REQUESTS, header=Header.NONE))
    assert echoed.image_hits > least.image_hits + 0.1
    assert echoed.prefix_hits > least.prefix_hits + 0.1
    assert echoed.ttft_ms_p50 < least.ttft_ms_p50


def test_a_hot_image_overloads_its_owner_without_a_bound() -> None:
    hot = SMALL.model_copy(update={"hot_share": 0.6})
    plain, bounded = (
        measure(simulate(12, policy=policy, parameters=hot))
        for policy in (Policy.HASH, Policy.BOUNDED_HASH)
    )
    assert bounded.ttft_ms_p95 < plain.ttft_ms_p95 / 2
    assert bounded.image_hits > 0.5


def test_a_lost_node_fails_what_is_in_flight_and_nothing_later() -> None:
    run = Simulation(build_setup(8)).run(build_loss(20.0, 1))
    failed = [r for r in run.traffic.requests if r.outcome is Outcome.FAILED]
    assert failed
    assert {request.ended_s for request in failed} == {20.0}
    late = [r for r in run.counted if 20.0 < r.arrived_s < 35.0]
    assert {r.outcome for r in late} == {Outcome.COMPLETED}
    assert len(run.cell.rotation) == 3
    assert run.cell.num_starting == 1


@pytest.mark.parametrize("new_first", [True, False])
def test_an_update_replaces_all_replicas_and_loses_nothing(new_first: bool) -> None:
    parameters = SMALL.model_copy(update={"start_s": 2.0})
    simulation = Simulation(build_setup(6, parameters=parameters, seconds=60))
    old = set(simulation.cell.rotation)
    simulation.run(build_update(15.0, new_first=new_first))
    assert len(simulation.cell.rotation) == 4
    assert not old & set(simulation.cell.rotation)
    assert {r.slot for r in simulation.cell.rotation} <= set(range(5))
    outcomes = {request.outcome for request in simulation.traffic.requests}
    assert outcomes == {Outcome.COMPLETED, Outcome.PENDING}
