"""Memory is trimmed soon after large bodies, and once for many of them."""

import asyncio

from server.api.allocator_trim import AllocatorTrim, load_malloc_trim


async def test_many_bodies_trim_once() -> None:
    trims: list[int] = []
    trim = AllocatorTrim(lambda: trims.append(1), delay_s=0.02)
    for _ in range(5):
        trim.schedule()
    assert trims == []
    await asyncio.sleep(0.2)
    assert trims == [1]
    trim.schedule()
    await asyncio.sleep(0.2)
    assert trims == [1, 1]


def test_the_c_library_is_trimmed() -> None:
    load_malloc_trim()()
