"""Routing policies and the ring."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
import simpy

from benchmarks.fleet.hash_ring import HashRing
from benchmarks.fleet.parameters import Parameters
from benchmarks.fleet.replica import Replica
from benchmarks.fleet.routers import ConsistentHash, Policy, Router, build_router
from tests.benchmarks.fleet.cells import build_replicas, build_request

KEYS = [f"image {number}" for number in range(4000)]


def build(policy: Policy, replicas: Sequence[Replica]) -> Router:
    """Build a router of these replicas."""
    router = build_router(policy, Parameters(), random.Random(0))
    router.set_rotation(replicas)
    return router


def test_a_replica_that_leaves_moves_only_its_own_keys() -> None:
    replicas = build_replicas(16, simpy.Environment())
    whole, smaller = HashRing(replicas, 100), HashRing(replicas[1:], 100)
    moved = [key for key in KEYS if whole.find(key) is not smaller.find(key)]
    assert {whole.find(key) for key in moved} == {replicas[0]}
    assert len(moved) / len(KEYS) == pytest.approx(1 / 16, rel=0.4)


def test_keys_are_spread_over_all_replicas() -> None:
    replicas = build_replicas(16, simpy.Environment())
    ring = HashRing(replicas, 100)
    owners = Counter(ring.find(key).slot for key in KEYS)
    assert len(owners) == 16
    assert max(owners.values()) < 1.5 * len(KEYS) / 16


def test_a_walk_visits_each_replica_once() -> None:
    replicas = build_replicas(5, simpy.Environment())
    walk = list(HashRing(replicas, 10).walk("a key"))
    assert sorted(replica.slot for replica in walk) == list(range(5))


@pytest.mark.parametrize("hot_share", [0.0, 0.5, 1.0])
def test_a_bounded_load_is_never_exceeded(hot_share: float) -> None:
    env = simpy.Environment()
    replicas = build_replicas(8, env, permits=10_000)
    router = build(Policy.BOUNDED_HASH, replicas)
    assert isinstance(router, ConsistentHash)
    generator = random.Random(0)
    for _ in range(1500):
        key = "hot" if generator.random() < hot_share else generator.choice(KEYS)
        bound = router.compute_bound()
        replica = router.choose(build_request(affinity=key))
        assert replica is not None
        replica.submit(build_request())
        assert replica.num_requests <= bound
    average = 1500 / 8
    assert max(replica.num_requests for replica in replicas) <= 1.25 * average + 1


def test_the_same_affinity_stays_while_there_is_room() -> None:
    router = build(Policy.BOUNDED_HASH, build_replicas(8, simpy.Environment()))
    chosen = {router.choose(build_request(affinity="a conversation")) for _ in range(20)}
    assert len(chosen) == 1


@pytest.mark.parametrize("policy", [Policy.HASH, Policy.BOUNDED_HASH, Policy.LEAST_REQUESTS])
def test_without_affinity_the_least_loaded_gets_it(policy: Policy) -> None:
    replicas = build_replicas(3, simpy.Environment())
    for replica in (replicas[0], replicas[2]):
        replica.submit(build_request())
    assert build(policy, replicas).choose(build_request()) is replicas[1]


def test_round_robin_takes_turns() -> None:
    replicas = build_replicas(3, simpy.Environment())
    router = build(Policy.ROUND_ROBIN, replicas)
    assert [router.choose(build_request()) for _ in range(4)] == [*replicas, replicas[0]]


def test_two_choices_avoid_the_busy_one() -> None:
    replicas = build_replicas(2, simpy.Environment())
    replicas[0].submit(build_request())
    router = build(Policy.TWO_CHOICES, replicas)
    chosen = Counter(router.choose(build_request()) for _ in range(200))
    assert chosen[replicas[0]] < chosen[replicas[1]] / 2


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("affinity", [None, "x"])
def test_with_one_replica_or_none(policy: Policy, affinity: str | None) -> None:
    request = build_request(affinity=affinity)
    assert build(policy, ()).choose(request) is None
    (only,) = build_replicas(1, simpy.Environment())
    assert build(policy, [only]).choose(replace(request)) is only
