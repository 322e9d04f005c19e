"""What clients see when an engine or a replica dies, and while all are replaced."""

import asyncio
import time
from contextlib import ExitStack

import httpx
import pytest

from tests.api.running import slow_down
from tests.scale.load import STREAM, run_load
from tests.scale.replicas import Replicas, is_running, kill

# Replicas start, and come back, on cores that all share.
pytestmark = pytest.mark.timeout(600)

CLIENTS = 6
RUNNING = "llava:num_requests_running"


async def test_a_client_that_leaves_frees_its_permit(replicas: Replicas) -> None:
    request = {**STREAM, "max_tokens": 1500, "ignore_eos": True}
    with ExitStack() as slow:
        for replica in await asyncio.to_thread(replicas.wait):
            slow.enter_context(slow_down(replicas.engine_pid(replica)))
        async with (
            httpx.AsyncClient(base_url=replicas.url, timeout=60) as http,
            http.stream("POST", "/v1/chat/completions", json=request) as response,
        ):
            await anext(response.aiter_lines())
            assert replicas.sum(RUNNING) == 1
    left = time.monotonic()
    while replicas.sum(RUNNING):
        assert time.monotonic() < left + 1


async def test_an_engine_dies_and_only_its_requests_fail(replicas: Replicas) -> None:
    before = await asyncio.to_thread(replicas.wait)
    victim = before[0]
    async with run_load(replicas.url, CLIENTS) as load:
        await load.wait_for_more(20)
        kill(replicas.engine_pid(victim))
        await load.wait_for_more(60)
    await asyncio.to_thread(_wait_for_another, replicas, victim.pid)
    assert len(load.failures) <= CLIENTS
    # They were all in flight when the engine was seen to be dead: nothing failed later.
    if load.failures:
        seen = min(each.ended for each in load.failures)
        assert all(each.began <= seen for each in load.failures)


async def test_a_replica_dies_and_takes_its_engine_along(replicas: Replicas) -> None:
    victim = (await asyncio.to_thread(replicas.wait))[0]
    engine = replicas.engine_pid(victim)
    async with run_load(replicas.url, CLIENTS) as load:
        await load.wait_for_more(20)
        kill(victim.pid)
        killed = time.monotonic()
        await load.wait_for_more(60)
    await asyncio.to_thread(_wait_for_another, replicas, victim.pid)
    assert not is_running(engine)
    assert len(load.failures) <= 2 * CLIENTS
    assert all(each.began < killed + 1 for each in load.failures)


async def test_all_are_replaced_without_a_failure(replicas: Replicas) -> None:
    before = {each.pid for each in await asyncio.to_thread(replicas.wait)}
    # Few clients: the new replicas load on the same cores.
    async with run_load(replicas.url, 2) as load:
        await load.wait_for_more(20)
        replicas.replace()
        await asyncio.to_thread(
            replicas.wait, lambda ready: not before & {each.pid for each in ready}
        )
        await load.wait_for_more(20)
    assert load.failures == []


def _wait_for_another(replicas: Replicas, pid: int) -> None:
    replicas.wait(lambda ready: pid not in {each.pid for each in ready})
