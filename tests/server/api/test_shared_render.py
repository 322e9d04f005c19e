"""Callers share renderings, and none gets an old one."""

import asyncio
import threading

from server.api.shared_render import SharedRender


async def test_many_callers_share_a_rendering() -> None:
    calls: list[bytes] = []

    def render() -> bytes:
        calls.append(b"x")
        return b"%d" % len(calls)

    shared = SharedRender(render)
    assert set(await asyncio.gather(*(shared.get() for _ in range(100)))) == {b"1"}
    assert await shared.get() == b"2"


async def test_a_rendering_that_has_begun_is_not_for_later_callers() -> None:
    begun, go = threading.Event(), threading.Event()
    values = iter((b"old", b"new"))

    def render() -> bytes:
        begun.set()
        go.wait(10)
        return next(values)

    shared = SharedRender(render)
    first = asyncio.create_task(shared.get())
    await asyncio.to_thread(begun.wait, 10)
    second = asyncio.create_task(shared.get())
    await asyncio.sleep(0)
    go.set()
    assert [await first, await second] == [b"old", b"new"]


async def test_a_caller_that_leaves_takes_nothing_from_the_others() -> None:
    shared = SharedRender(lambda: b"text")
    leaving, staying = asyncio.create_task(shared.get()), asyncio.create_task(shared.get())
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == b"text"
