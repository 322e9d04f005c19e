"""A replica's limits: permits, a short queue, then 429; draining and loss."""

from collections import Counter

import simpy

from benchmarks.fleet.replica import Replica
from benchmarks.fleet.request import Outcome
from tests.benchmarks.fleet.cells import build_replicas, build_request


def build_small(env: simpy.Environment, **changes: object) -> Replica:
    """Build a replica with 3 permits and a queue of 2."""
    (replica,) = build_replicas(1, env, **{"permits": 3, "queue": 2, **changes})
    return replica


def test_beyond_permits_and_queue_requests_are_refused_at_once() -> None:
    env = simpy.Environment()
    replica = build_small(env)
    requests = [build_request() for _ in range(7)]
    for request in requests:
        replica.submit(request)
    assert [r.outcome for r in requests] == [Outcome.PENDING] * 5 + [Outcome.REFUSED] * 2
    assert replica.num_requests == 5
    env.run()
    assert Counter(r.outcome for r in requests) == {Outcome.COMPLETED: 5, Outcome.REFUSED: 2}
    assert replica.num_requests == 0


def test_who_waits_too_long_is_refused() -> None:
    env = simpy.Environment()
    replica = build_small(env, max_queue_s=0.1)
    requests = [build_request() for _ in range(4)]
    for request in requests:
        replica.submit(request)
    env.run()
    assert requests[3].outcome is Outcome.REFUSED
    assert requests[3].ended_s == 0.1


def test_draining_ends_with_the_last_answer() -> None:
    env = simpy.Environment()
    replica = build_small(env)
    requests = [build_request() for _ in range(4)]
    for request in requests:
        replica.submit(request)
    replica.drain()
    assert not replica.drained.triggered
    env.run(until=replica.drained)
    assert env.now == max(request.ended_s for request in requests)
    idle = build_small(env)
    idle.drain()
    assert idle.drained.triggered


def test_a_lost_replica_cuts_all_it_has() -> None:
    env = simpy.Environment()
    replica = build_small(env)
    requests = [build_request(image=number) for number in range(5)]
    ended = [replica.submit(request) for request in requests]
    env.run(until=0.05)
    replica.lose()
    env.run()
    assert {request.outcome for request in requests} == {Outcome.FAILED}
    assert all(event.processed for event in ended)
    assert replica.num_requests == 0


def test_an_image_is_loaded_once() -> None:
    env = simpy.Environment()
    replica = build_small(env)
    first, second = build_request(image=7), build_request(image=7)
    for request in (first, second):
        env.run(until=replica.submit(request))
    assert not first.is_image_cached
    assert second.is_image_cached
    assert second.cached_tokens == 611  # the prefix that both conversations share
