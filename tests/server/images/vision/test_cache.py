"""The cache of image embeddings: one computation per key, within its byte limit."""

import asyncio

import pytest
import torch

from server.images.vision.cache import EncodedMedia, ImageEmbedsCache
from server.telemetry.metrics import Metrics
from tests.server.samples import sample

ENTRY = 100 * 4  # bytes


class Computation:
    """Counts its runs; ends when `go` is set."""

    def __init__(self, values: int = 100) -> None:
        self.runs = 0
        self.started = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()
        self.cancelled = 0
        self._values = values

    async def __call__(self) -> EncodedMedia:
        self.runs += 1
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return EncodedMedia(torch.full((self._values,), float(self.runs)), 1, 1, 1)


def read_metrics(metrics: Metrics) -> tuple[float, float, float]:
    """Return queries, hits and bytes."""
    return (
        sample(metrics, "image_cache_queries_total"),
        sample(metrics, "image_cache_hits_total"),
        sample(metrics, "image_cache_bytes"),
    )


async def test_a_cached_key_is_not_computed_again(metrics: Metrics) -> None:
    cache, computation = ImageEmbedsCache(10 * ENTRY, metrics), Computation()
    first = await cache.get_or_compute("a", computation)
    assert read_metrics(metrics) == (1, 0, ENTRY)
    assert await cache.get_or_compute("a", computation) is first
    assert read_metrics(metrics) == (2, 1, ENTRY)
    assert computation.runs == 1
    assert await cache.get_or_compute("b", computation) is not first
    assert read_metrics(metrics) == (3, 1, 2 * ENTRY)


async def test_concurrent_equal_keys_compute_once(metrics: Metrics) -> None:
    cache, computation = ImageEmbedsCache(10 * ENTRY, metrics), Computation()
    computation.go.clear()
    tasks = [asyncio.create_task(cache.get_or_compute("a", computation)) for _ in range(4)]
    await asyncio.sleep(0)
    computation.go.set()
    results = await asyncio.gather(*tasks)
    assert computation.runs == 1
    assert all(result is results[0] for result in results)
    assert read_metrics(metrics) == (4, 0, ENTRY)


async def test_the_byte_limit_evicts_the_least_recently_used(metrics: Metrics) -> None:
    cache, computation = ImageEmbedsCache(3 * ENTRY, metrics), Computation()
    for key in ("a", "b", "c"):
        await cache.get_or_compute(key, computation)
    assert read_metrics(metrics) == (3, 0, 3 * ENTRY)
    await cache.get_or_compute("a", computation)  # now b is the least recently used
    await cache.get_or_compute("d", computation)
    assert read_metrics(metrics)[2] == 3 * ENTRY
    assert computation.runs == 4
    for key in ("a", "c", "d"):
        await cache.get_or_compute(key, computation)
    assert computation.runs == 4
    await cache.get_or_compute("b", computation)
    assert computation.runs == 5


async def test_a_large_entry_evicts_as_many_as_it_needs(metrics: Metrics) -> None:
    cache, computation = ImageEmbedsCache(3 * ENTRY, metrics), Computation()
    for key in ("a", "b", "c"):
        await cache.get_or_compute(key, computation)
    await cache.get_or_compute("large", Computation(values=250))
    assert read_metrics(metrics)[2] == 250 * 4
    await cache.get_or_compute("c", computation)
    assert computation.runs == 4


async def test_an_entry_larger_than_the_cache_is_not_cached(metrics: Metrics) -> None:
    cache, computation, large = (
        ImageEmbedsCache(2 * ENTRY, metrics),
        Computation(),
        Computation(201),
    )
    await cache.get_or_compute("a", computation)
    for _ in range(2):
        assert len((await cache.get_or_compute("large", large)).embeds) == 201
    assert large.runs == 2
    await cache.get_or_compute("a", computation)
    assert computation.runs == 1  # nothing was evicted
    assert read_metrics(metrics)[2] == ENTRY


async def test_an_entry_of_exactly_the_limit_is_cached(metrics: Metrics) -> None:
    cache, computation = ImageEmbedsCache(ENTRY, metrics), Computation()
    for _ in range(2):
        await cache.get_or_compute("a", computation)
    assert computation.runs == 1


async def test_failures_are_not_cached(metrics: Metrics) -> None:
    cache, computation = ImageEmbedsCache(10 * ENTRY, metrics), Computation()

    async def fail() -> EncodedMedia:
        raise LookupError("broken")

    with pytest.raises(LookupError):
        await cache.get_or_compute("a", fail)
    assert read_metrics(metrics) == (1, 0, 0)
    await cache.get_or_compute("a", computation)
    assert computation.runs == 1


async def test_a_cancelled_waiter_does_not_cancel_the_computation(metrics: Metrics) -> None:
    cache, computation = ImageEmbedsCache(10 * ENTRY, metrics), Computation()
    computation.go.clear()
    cancelled, waiting = (
        asyncio.create_task(cache.get_or_compute("a", computation)) for _ in range(2)
    )
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    computation.go.set()
    assert len((await waiting).embeds) == 100
    assert (computation.runs, computation.cancelled) == (1, 0)


async def test_the_last_cancelled_waiter_cancels_the_computation(metrics: Metrics) -> None:
    cache, computation = ImageEmbedsCache(10 * ENTRY, metrics), Computation()
    computation.go.clear()
    tasks = [asyncio.create_task(cache.get_or_compute("a", computation)) for _ in range(2)]
    await computation.started.wait()
    for task in tasks:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.sleep(0)
    assert computation.cancelled == 1
    assert read_metrics(metrics)[2] == 0
