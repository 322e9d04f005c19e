"""Memory is trimmed soon after large bodies, and once for many of them."""

import asyncio

from server.api.allocator_trim import AllocatorTrim, load_malloc_trim


async def wait_for_trims(trims: list[int], count: int) -> None:
    """Wait until the allocator was trimmed so often, and see that it was no more."""
    async with asyncio.timeout(30):
        while len(trims) < count:  # noqa: ASYNC110 - a thread appends
            await asyncio.sleep(0.01)
    assert len(trims) == count


async def test_many_bodies_trim_once() -> None:
    trims: list[int] = []
    trim = AllocatorTrim(lambda: trims.append(1), delay_s=0.02)
    for _ in range(5):
        trim.schedule()
    assert trims == []
    await wait_for_trims(trims, 1)
    trim.schedule()
    await wait_for_trims(trims, 2)


def test_the_c_library_is_trimmed() -> None:
    load_malloc_trim()()
