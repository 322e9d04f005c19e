"""Finished image embeddings, kept by content key under a byte limit."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from cachetools import LRUCache
from torch import Tensor

from llava_spec.anyres import Size
from server.concurrency import SingleFlight
from server.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image's image_embeds (num_image_tokens, hidden), and what the picture was.

    `image_size` is (width, height) of the upright picture, `frames` how many the file holds.
    """

    image_embeds: Tensor
    image_size: Size
    frames: int

    @property
    def pixels(self) -> int:
        """Pixels of the picture."""
        return self.image_size[0] * self.image_size[1]

    @property
    def nbytes(self) -> int:
        """Memory that keeping it takes."""
        return self.image_embeds.nbytes


class HasNbytes(Protocol):
    """What knows the memory that keeping it takes."""

    @property
    def nbytes(self) -> int:
        """Bytes."""


T = TypeVar("T", bound=HasNbytes)


class ImageEmbedsCache(Generic[T]):
    """A least-recently-used cache under a byte limit that computes each missing key once."""

    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        self._entries: LRUCache[str, T] = LRUCache(max_bytes, getsizeof=lambda image: image.nbytes)
        self._flights: SingleFlight[T] = SingleFlight()
        self._metrics = metrics

    async def get_or_compute(self, key: str, compute: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the image of `key`, from the cache or from `compute()`."""
        self._metrics.image_cache_queries.inc()
        image = self._entries.get(key)
        if image is not None:
            self._metrics.image_cache_hits.inc()
            return image
        self._metrics.image_cache_misses.inc()
        image = await self._flights.run(key, compute)
        self._keep(key, image)
        return image

    def _keep(self, key: str, image: T) -> None:
        if key not in self._entries and image.nbytes <= self._entries.maxsize:
            before = len(self._entries)
            self._entries[key] = image
            self._metrics.image_cache_evictions.inc(before + 1 - len(self._entries))
        self._metrics.image_cache_bytes.set(self._entries.currsize)
