"""A cache of image embeddings by content key, within a byte limit."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from cachetools import LRUCache
from torch import Tensor

from llava_spec.anyres import Size
from server.concurrency import SingleFlight
from server.telemetry.metrics import Metrics
from server.telemetry.timeline import annotate


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image's image_embeds (num_image_tokens, hidden), and the facts that its budget needs.

    `image_size` is the upright image's (width, height), `frames` the number of frames in the file.
    """

    image_embeds: Tensor
    image_size: Size
    frames: int

    @property
    def pixels(self) -> int:
        """Pixels of the full image."""
        return self.image_size[0] * self.image_size[1]

    @property
    def nbytes(self) -> int:
        """Bytes of the image_embeds."""
        return self.image_embeds.nbytes


class HasNbytes(Protocol):
    """A value whose memory is known."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""


T = TypeVar("T", bound=HasNbytes)


class ImageEmbedsCache(Generic[T]):
    """An LRU cache within a byte limit.

    Concurrent misses of one key share a computation, if they are of the same group: its error is
    all theirs.
    """

    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        self._entries: LRUCache[str, T] = LRUCache(max_bytes, getsizeof=lambda value: value.nbytes)
        self._flights: SingleFlight[T] = SingleFlight()
        self._metrics = metrics

    async def get_or_compute(
        self, key: str, compute: Callable[[], Coroutine[Any, Any, T]], group: str = ""
    ) -> T:
        """Return the value of `key`, from the cache or from `compute()`."""
        self._metrics.image_cache_queries.inc()
        value = self._entries.get(key)
        if value is not None:
            self._metrics.image_cache_hits.inc()
            annotate("llava.image.cache", "hit")
            return value
        self._metrics.image_cache_misses.inc()
        flight = (group, key)
        annotate("llava.image.cache", "shared" if flight in self._flights else "miss")
        value = await self._flights.run(flight, compute)
        self._store(key, value)
        return value

    def _store(self, key: str, value: T) -> None:
        if key not in self._entries and value.nbytes <= self._entries.maxsize:
            num_before = len(self._entries)
            self._entries[key] = value
            self._metrics.image_cache_evictions.inc(num_before + 1 - len(self._entries))
        self._metrics.image_cache_bytes.set(self._entries.currsize)
