"""Permits: granted by cost while the server is ready, fairly, and given back once."""

import asyncio

import pytest

from server.api.admission.admission import Admission
from server.api.admission.cost import Cost
from server.api.admission.fair_queue import Standing
from server.errors import NotReady, TooManyRequests
from server.lifecycle import Lifecycle
from server.telemetry.metrics import Metrics
from tests.server.api.admission.waiting import Clock, settle, waiting
from tests.server.samples import sample


async def test_permits_are_given_up_to_the_capacity_at_once(
    admission: Admission, metrics: Metrics
) -> None:
    permits = [await admission.acquire("a") for _ in range(4)]
    assert admission.held == sample(metrics, "num_requests_running") == 4
    async with waiting(admission, "a") as [task]:
        await settle()
        assert not task.done()
        assert sample(metrics, "num_requests_queued") == 1
        permits[0].release()
        (await task).release()
    for permit in permits:
        permit.release()
    assert admission.held == sample(metrics, "num_requests_queued") == 0


async def test_releasing_twice_is_harmless(admission: Admission) -> None:
    with await admission.acquire("a") as permit, await admission.acquire("a"):
        permit.release()
        permit.release()
        assert admission.held == 1
    assert admission.held == 0


async def test_a_block_that_fails_gives_its_permit_back(admission: Admission) -> None:
    with pytest.raises(LookupError), await admission.acquire("a"):
        raise LookupError
    assert admission.held == 0


async def test_the_queue_is_bounded(admission: Admission) -> None:
    permits = [await admission.acquire("a") for _ in range(4)]
    async with waiting(admission, "a", "a") as tasks:
        with pytest.raises(TooManyRequests, match="limit of 4 requests") as caught:
            await admission.acquire("a")
        with pytest.raises(TooManyRequests):
            admission.check("a")
        assert caught.value.retry_after is not None
        assert caught.value.retry_after >= 1
        assert not any(task.done() for task in tasks)
    for permit in permits:
        permit.release()
    assert admission.held == 0


async def test_a_wait_has_an_end(lifecycle: Lifecycle, metrics: Metrics) -> None:
    admission = Admission(lifecycle, capacity=Cost(1, 1), max_queue_s=0.01, metrics=metrics)
    with await admission.acquire("a"), pytest.raises(TooManyRequests):
        await admission.acquire("a")
    assert admission.held == 0
    with await admission.acquire("a"):
        assert admission.held == 1


async def test_a_request_that_leaves_the_queue_takes_no_permit(admission: Admission) -> None:
    permits = [await admission.acquire("a") for _ in range(4)]
    async with waiting(admission, "a") as [task]:
        permits[0].release()  # granted, and cancelled before it could know
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
    for permit in permits:
        permit.release()
    assert admission.held == 0


async def test_a_flood_does_not_delay_another_tenant(admission: Admission) -> None:
    permits = [await admission.acquire("flood") for _ in range(4)]
    async with waiting(admission, "flood", "flood") as flood:
        admission.check("polite")
        async with waiting(admission, "polite") as [polite]:
            await settle()
            assert isinstance(flood[1].exception(), TooManyRequests)  # displaced
            for permit in permits[:4]:
                permit.release()
            await settle()
            assert polite.done()
            polite.result().release()
            for task in flood[:1]:
                (await task).release()
    assert admission.held == 0


async def test_a_tenant_cannot_displace_its_own_requests(admission: Admission) -> None:
    permits = [await admission.acquire("b") for _ in range(4)]
    async with waiting(admission, "a", "b"):
        with pytest.raises(TooManyRequests):
            admission.check("a")
    for permit in permits:
        permit.release()


async def test_active_tenants_share_half_of_the_capacity(
    admission: Admission, clock: Clock
) -> None:
    with await admission.acquire("b"), await admission.acquire("a"):
        async with waiting(admission, "a") as [second]:
            await settle()
            assert not second.done()
    clock.now += 10
    permits = [await admission.acquire("a") for _ in range(4)]  # alone again
    for permit in permits:
        permit.release()


async def test_images_are_a_resource_of_their_own(admission: Admission) -> None:
    large = Cost(1, 70)
    # Text passes beside an image.
    with await admission.acquire("a", large) as permit, await admission.acquire("a"):
        async with waiting(admission, "a", cost=large) as [second]:
            await settle()
            assert not second.done()
            permit.release_images()
            await settle()
            assert second.done()
            second.result().release()
    assert admission.held == 0


async def test_images_that_wait_are_bounded_by_their_bytes(admission: Admission) -> None:
    large = Cost(1, 70)
    with await admission.acquire("a", large):
        async with waiting(admission, "a", cost=large):
            with pytest.raises(TooManyRequests):
                admission.check("a", cost=large)
            with pytest.raises(TooManyRequests):
                await admission.acquire("a", large)
            admission.check("a")  # text has room
            admission.check("b", cost=large)  # and so has another tenant


async def test_bodies_that_arrive_count_until_they_are_there(admission: Admission) -> None:
    large = Cost(1, 70)
    first, second = admission.check("a", cost=large), admission.check("a", cost=large)
    assert first is not None
    assert second is not None
    with pytest.raises(TooManyRequests):
        admission.check("a", cost=large)
    first.release()
    first.release()
    with await admission.acquire("a", large), pytest.raises(TooManyRequests):
        admission.check("a", cost=large)
    assert admission.check("a", cost=large) is not None
    assert admission.check("a") is None  # text arrives at once


async def test_slow_bodies_keep_nobody_out(admission: Admission, clock: Clock) -> None:
    large = Cost(1, 70)
    slow = [admission.check("a", cost=large) for _ in range(2)]
    clock.now += 5
    assert admission.check("a", cost=large) is not None
    for arrival in slow:
        assert arrival is not None
        arrival.release()
    assert admission.check("a", cost=large) is not None
    with pytest.raises(TooManyRequests):
        admission.check("a", cost=large)


async def test_a_request_larger_than_the_capacity_runs_alone(admission: Admission) -> None:
    with await admission.acquire("a", Cost(9, 500)):
        async with waiting(admission, "a") as [second]:
            await settle()
            assert not second.done()
    with await admission.acquire("a"):
        assert admission.held == 1


async def test_a_very_large_request_blocks_no_other_tenant(admission: Admission) -> None:
    with await admission.acquire("b"), await admission.acquire("a"):
        async with waiting(admission, "a", cost=Cost(128, 0)) as [large]:
            await settle()
            assert not large.done()  # its tenant's share is in use
            with await admission.acquire("c"):
                assert admission.held == 3


async def test_a_waiting_request_runs_once_the_others_are_silent(
    admission: Admission, clock: Clock
) -> None:
    with await admission.acquire("b"):
        pass
    with await admission.acquire("a"):
        async with waiting(admission, "a") as [second]:
            await settle()
            assert not second.done()
            clock.now += 10
            (await second).release()


async def test_none_before_the_model_is_loaded(metrics: Metrics) -> None:
    admission = Admission(Lifecycle(10), capacity=Cost(2, 9), max_queue_s=1, metrics=metrics)
    with pytest.raises(NotReady, match="loading") as caught:
        await admission.acquire("a")
    assert caught.value.retry_after == 1
    assert admission.held == 0


async def test_none_while_draining_but_those_held_stay(
    admission: Admission, lifecycle: Lifecycle
) -> None:
    with await admission.acquire("a"):
        lifecycle.drain()
        with pytest.raises(NotReady, match="draining"):
            await admission.acquire("a")
        assert admission.held == 1
    assert admission.held == 0


async def test_waiting_requests_are_refused_when_the_server_drains(
    admission: Admission, lifecycle: Lifecycle
) -> None:
    permits = [await admission.acquire("a") for _ in range(4)]
    async with waiting(admission, "a", "b") as tasks:
        lifecycle.drain()
        admission.refuse_waiting()
        for task in tasks:
            with pytest.raises(NotReady, match="draining"):
                await task
    for permit in permits:
        permit.release()


async def test_not_ready_goes_before_full(admission: Admission, lifecycle: Lifecycle) -> None:
    permits = [await admission.acquire("a") for _ in range(4)]
    lifecycle.drain()
    with pytest.raises(NotReady):
        admission.check("a")
    for permit in permits:
        permit.release()


async def test_a_share_goes_by_weight(lifecycle: Lifecycle, metrics: Metrics) -> None:
    admission = Admission(
        lifecycle,
        capacity=Cost(16, 100),
        max_queue_s=30,
        metrics=metrics,
        get_standing=lambda tenant: Standing(weight=3.0 if tenant == "heavy" else 1.0),
    )
    permits = [await admission.acquire("light"), await admission.acquire("heavy")]
    held = {"light": 1, "heavy": 1}
    for tenant in held:
        async with waiting(admission, *[tenant] * 5) as tasks:
            await settle()
            for task in tasks:
                if task.done():
                    permits.append(await task)
                    held[tenant] += 1
    assert held == {"light": 2, "heavy": 6}
    for permit in permits:
        permit.release()


async def test_a_higher_priority_is_served_first(lifecycle: Lifecycle, metrics: Metrics) -> None:
    admission = Admission(
        lifecycle,
        capacity=Cost(1, 100),
        max_queue_s=30,
        metrics=metrics,
        get_standing=lambda tenant: Standing(int(tenant)),
    )
    permit = await admission.acquire("0")
    async with waiting(admission, "1", "2") as [low, high]:
        permit.release()
        await settle()
        assert (low.done(), high.done()) == (False, True)
        (await high).release()
        (await low).release()


async def test_a_higher_priority_takes_a_place_in_the_queue(
    lifecycle: Lifecycle, metrics: Metrics
) -> None:
    admission = Admission(
        lifecycle,
        capacity=Cost(1, 100),
        max_queue_s=30,
        metrics=metrics,
        get_standing=lambda tenant: Standing(int(tenant)),
    )
    with await admission.acquire("0"):
        async with waiting(admission, "1", "1", "2") as [_, displaced, high]:
            await settle()
            assert isinstance(displaced.exception(), TooManyRequests)
            assert not high.done()
            with pytest.raises(TooManyRequests):
                admission.check("0")


async def test_a_flood_of_higher_priority_leaves_idle_permits_to_others(
    lifecycle: Lifecycle, metrics: Metrics
) -> None:
    admission = Admission(
        lifecycle,
        capacity=Cost(16, 100),
        max_queue_s=30,
        metrics=metrics,
        get_standing=lambda tenant: Standing(int(tenant == "high")),
    )
    first = await admission.acquire("low")
    flood = [asyncio.create_task(admission.acquire("high")) for _ in range(30)]
    await settle()
    assert admission.held == 5  # the flood is at its share, and fills the queue
    with pytest.raises(TooManyRequests):
        admission.check("high")
    others = []
    for _ in range(3):
        admission.check("low")
        others.append(await admission.acquire("low"))
    with pytest.raises(TooManyRequests):  # beyond its share it would wait
        admission.check("low")
    with pytest.raises(TooManyRequests):
        await admission.acquire("low")
    for task in flood:
        task.cancel()
    for permit in (first, *others):
        permit.release()


async def test_a_small_request_does_not_pass_a_large_one_that_waits(
    lifecycle: Lifecycle, metrics: Metrics
) -> None:
    admission = Admission(lifecycle, capacity=Cost(16, 100), max_queue_s=30, metrics=metrics)
    permits = [await admission.acquire("a") for _ in range(15)]
    async with waiting(admission, "b", cost=Cost(3, 0)), waiting(admission, "c") as [small]:
        await settle()
        assert not small.done()
    for permit in permits:
        permit.release()
