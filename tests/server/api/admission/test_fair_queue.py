"""The tenant that was served least is next."""

import asyncio
from collections.abc import Iterator

import pytest

from server.api.admission.cost import ONE
from server.api.admission.fair_queue import FairQueue, Standing, Waiter


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Return a loop for futures that nothing awaits."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def fill(queue: FairQueue, loop: asyncio.AbstractEventLoop, tenants: str) -> None:
    """Have a request of each tenant wait, in this order."""
    for tenant in tenants:
        queue.push(Waiter(tenant, ONE, loop.create_future()))


def drain(queue: FairQueue, weights: dict[str, float] | None = None) -> str:
    """Grant everything; return the tenants in the order of their turns."""
    order = ""
    while (waiter := next(queue.heads(), None)) is not None:
        queue.grant(waiter, (weights or {}).get(waiter.tenant, 1.0))
        order += waiter.tenant
    return order


def test_one_tenant_is_served_in_order(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue()
    fill(queue, loop, "aaa")
    first = next(queue.heads())
    assert (len(queue), len(queue.list_of("a")), len(queue.list_of("b"))) == (3, 3, 0)
    queue.grant(first, 1.0)
    assert first not in list(queue.heads())
    assert len(queue) == 2


def test_tenants_take_turns(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue()
    fill(queue, loop, "aaaabb")
    assert drain(queue) == "ababaa"


def test_costly_requests_take_fewer_turns(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue()
    fill(queue, loop, "aaabbbbbb")
    assert drain(queue, {"a": 2.0}) == "abbabbabb"


def test_a_tenant_that_was_away_gets_no_credit(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue()
    fill(queue, loop, "aaaa")
    assert drain(queue) == "aaaa"
    fill(queue, loop, "aabb")
    assert drain(queue) in ("abab", "baba")


def test_the_longest_queue_loses_its_newest(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue()
    assert queue.last_of_longest() is None
    fill(queue, loop, "baaa")
    newest = queue.last_of_longest()
    assert newest is not None
    queue.remove(newest)
    queue.remove(newest)
    assert (len(queue.list_of("a")), len(queue.list_of("b"))) == (2, 1)


def test_weights_are_shares(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue()
    for tenant in "aaabbbbbb":
        standing = Standing(weight=2.0 if tenant == "b" else 1.0)
        queue.push(Waiter(tenant, ONE, loop.create_future()), standing)
    assert drain(queue) == "abbabbabb"


def test_a_higher_priority_goes_first(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue()
    for tenant, priority in zip("aabbcc", (0, 0, 5, 5, -1, -1), strict=True):
        queue.push(Waiter(tenant, ONE, loop.create_future()), Standing(priority))
    assert drain(queue) == "bbaacc"


def test_who_gives_way(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue()
    for tenant, standing in [
        *[("a", Standing(0, 4.0))] * 4,
        *[("b", Standing(0, 1.0))] * 3,
        ("c", Standing(9, 1.0)),
    ]:
        queue.push(Waiter(tenant, ONE, loop.create_future()), standing)
    displaced = queue.last_of_longest()
    assert displaced is not None
    assert displaced.tenant == "b"  # three times its weight
    assert queue.may_displace("new", Standing())
    assert queue.may_displace("a", Standing(0, 4.0))
    assert not queue.may_displace("b", Standing())
    assert not queue.may_displace("new", Standing(-1))
    queue.push(Waiter("d", ONE, loop.create_future()), Standing(-2))
    assert queue.may_displace("new", Standing(-1))


def test_grants_of_a_higher_priority_delay_nobody_below(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue()
    fill(queue, loop, "aaaa")
    for _ in range(1000):
        queue.push(Waiter("high", ONE, loop.create_future()), Standing(1))
        queue.grant(next(queue.heads()), 1.0)
    fill(queue, loop, "bb")
    assert drain(queue) == "ababaa"


def test_a_tenant_of_new_priority_begins_there_anew(loop: asyncio.AbstractEventLoop) -> None:
    queue = FairQueue()
    fill(queue, loop, "aaaa")
    for _ in range(3):
        queue.grant(next(queue.heads()), 1.0)
    for tenant in "abb":
        queue.push(Waiter(tenant, ONE, loop.create_future()), Standing(1))
    assert drain(queue) == "abab"
