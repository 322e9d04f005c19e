"""Finished image embeddings, kept by content key under a byte limit."""

from collections.abc import Callable, Coroutine
from typing import Any

from cachetools import LRUCache
from torch import Tensor

from server.metrics import Metrics
from server.single_flight import SingleFlight


class ImageEmbedsCache:
    """A least-recently-used cache of image_embeds that computes each missing key once."""

    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        self._entries: LRUCache[str, Tensor] = LRUCache(max_bytes, getsizeof=lambda t: t.nbytes)
        self._flights: SingleFlight[Tensor] = SingleFlight()
        self._metrics = metrics

    async def get_or_compute(
        self, key: str, compute: Callable[[], Coroutine[Any, Any, Tensor]]
    ) -> Tensor:
        """Return the image_embeds of `key`, from the cache or from `compute()`."""
        image_embeds = self._entries.get(key)
        self._metrics.image_cache_queries.inc()
        if image_embeds is not None:
            self._metrics.image_cache_hits.inc()
            return image_embeds
        image_embeds = await self._flights.run(key, compute)
        self._keep(key, image_embeds)
        return image_embeds

    def _keep(self, key: str, image_embeds: Tensor) -> None:
        if image_embeds.nbytes <= self._entries.maxsize:
            self._entries[key] = image_embeds
        self._metrics.image_cache_bytes.set(self._entries.currsize)
