"""The cache of image embeddings: once per key, under its byte limit."""

import asyncio

import pytest
import torch
from torch import Tensor

from server.images.vision.cache import ImageEmbedsCache
from server.telemetry.metrics import Metrics
from tests.server.samples import sample

ENTRY = 100 * 4  # bytes


class Encoding:
    """Counts how often it computes, once it may."""

    def __init__(self, values: int = 100) -> None:
        self.runs = 0
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()
        self.cancelled = 0
        self._values = values

    async def __call__(self) -> Tensor:
        self.runs += 1
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return torch.full((self._values,), float(self.runs))


def figures(metrics: Metrics) -> tuple[float, float, float]:
    """Return queries, hits and bytes."""
    return (
        sample(metrics, "image_cache_queries_total"),
        sample(metrics, "image_cache_hits_total"),
        sample(metrics, "image_cache_bytes"),
    )


async def test_a_known_key_is_not_computed_again(metrics: Metrics) -> None:
    cache, encoding = ImageEmbedsCache[Tensor](10 * ENTRY, metrics), Encoding()
    first = await cache.get_or_compute("a", encoding)
    assert figures(metrics) == (1, 0, ENTRY)
    assert await cache.get_or_compute("a", encoding) is first
    assert figures(metrics) == (2, 1, ENTRY)
    assert encoding.runs == 1
    assert await cache.get_or_compute("b", encoding) is not first
    assert figures(metrics) == (3, 1, 2 * ENTRY)


async def test_concurrent_equal_keys_compute_once(metrics: Metrics) -> None:
    cache, encoding = ImageEmbedsCache[Tensor](10 * ENTRY, metrics), Encoding()
    encoding.go.clear()
    tasks = [asyncio.create_task(cache.get_or_compute("a", encoding)) for _ in range(4)]
    await asyncio.sleep(0)
    encoding.go.set()
    results = await asyncio.gather(*tasks)
    assert encoding.runs == 1
    assert all(result is results[0] for result in results)
    assert figures(metrics) == (4, 0, ENTRY)


async def test_the_byte_limit_evicts_the_least_recently_used(metrics: Metrics) -> None:
    cache, encoding = ImageEmbedsCache[Tensor](3 * ENTRY, metrics), Encoding()
    for key in ("a", "b", "c"):
        await cache.get_or_compute(key, encoding)
    assert figures(metrics) == (3, 0, 3 * ENTRY)
    await cache.get_or_compute("a", encoding)  # now b is the one used least recently
    await cache.get_or_compute("d", encoding)
    assert figures(metrics)[2] == 3 * ENTRY
    assert encoding.runs == 4
    for key in ("a", "c", "d"):
        await cache.get_or_compute(key, encoding)
    assert encoding.runs == 4
    await cache.get_or_compute("b", encoding)
    assert encoding.runs == 5


async def test_a_large_entry_evicts_as_many_as_it_needs(metrics: Metrics) -> None:
    cache, encoding = ImageEmbedsCache[Tensor](3 * ENTRY, metrics), Encoding()
    for key in ("a", "b", "c"):
        await cache.get_or_compute(key, encoding)
    await cache.get_or_compute("large", Encoding(values=250))
    assert figures(metrics)[2] == 250 * 4
    await cache.get_or_compute("c", encoding)
    assert encoding.runs == 4


async def test_an_entry_larger_than_the_cache_is_not_kept(metrics: Metrics) -> None:
    cache, encoding, large = ImageEmbedsCache[Tensor](2 * ENTRY, metrics), Encoding(), Encoding(201)
    await cache.get_or_compute("a", encoding)
    for _ in range(2):
        assert len(await cache.get_or_compute("large", large)) == 201
    assert large.runs == 2
    await cache.get_or_compute("a", encoding)
    assert encoding.runs == 1  # and it drove nothing out
    assert figures(metrics)[2] == ENTRY


async def test_an_entry_of_just_the_limit_is_kept(metrics: Metrics) -> None:
    cache, encoding = ImageEmbedsCache[Tensor](ENTRY, metrics), Encoding()
    for _ in range(2):
        await cache.get_or_compute("a", encoding)
    assert encoding.runs == 1


async def test_failures_are_not_kept(metrics: Metrics) -> None:
    cache, encoding = ImageEmbedsCache[Tensor](10 * ENTRY, metrics), Encoding()

    async def fail() -> Tensor:
        raise LookupError("broken")

    with pytest.raises(LookupError):
        await cache.get_or_compute("a", fail)
    assert figures(metrics) == (1, 0, 0)
    await cache.get_or_compute("a", encoding)
    assert encoding.runs == 1


async def test_a_waiter_that_leaves_leaves_the_work_to_the_others(metrics: Metrics) -> None:
    cache, encoding = ImageEmbedsCache[Tensor](10 * ENTRY, metrics), Encoding()
    encoding.go.clear()
    leaver, stayer = (asyncio.create_task(cache.get_or_compute("a", encoding)) for _ in range(2))
    await asyncio.sleep(0)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    encoding.go.set()
    assert len(await stayer) == 100
    assert (encoding.runs, encoding.cancelled) == (1, 0)


async def test_when_all_waiters_leave_the_work_ends(metrics: Metrics) -> None:
    cache, encoding = ImageEmbedsCache[Tensor](10 * ENTRY, metrics), Encoding()
    encoding.go.clear()
    tasks = [asyncio.create_task(cache.get_or_compute("a", encoding)) for _ in range(2)]
    await encoding.begun.wait()
    for task in tasks:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.sleep(0)
    assert encoding.cancelled == 1
    assert figures(metrics)[2] == 0
