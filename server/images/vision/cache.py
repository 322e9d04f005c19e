"""A cache of the embeddings of images and videos by content key, within a byte limit."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, Self

from cachetools import LRUCache
from torch import Tensor

from server.concurrency import SingleFlight
from server.telemetry.metrics import Metrics
from server.telemetry.timeline import annotate


class MeasuredMedia(Protocol):
    """An image or video whose frames are known."""

    @property
    def pixels(self) -> int:
        """Pixels of the frames that are used."""

    @property
    def num_frames(self) -> int:
        """Frames that are used: of an image one."""

    @property
    def total_frames(self) -> int:
        """Frames in the file."""


@dataclass(frozen=True, slots=True)
class EncodedMedia:
    """An image's or video's embeddings (num_tokens, hidden), and what its budget needs.

    `pixels` are those of the frames that are used: `num_frames`, of an image one, of
    `total_frames` in the file.
    """

    embeds: Tensor
    pixels: int
    num_frames: int
    total_frames: int

    @classmethod
    def build(cls, embeds: Tensor, media: MeasuredMedia) -> Self:
        """Return the embeddings of an image or video that was decoded."""
        return cls(embeds, media.pixels, media.num_frames, media.total_frames)

    @property
    def nbytes(self) -> int:
        """Bytes of the embeddings."""
        return self.embeds.nbytes


class ImageEmbedsCache:
    """An LRU cache within a byte limit.

    Concurrent misses of one key share a computation, if they are of the same group: its error is
    all theirs.
    """

    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        self._entries: LRUCache[str, EncodedMedia] = LRUCache(
            max_bytes, getsizeof=lambda value: value.nbytes
        )
        self._flights: SingleFlight[EncodedMedia] = SingleFlight()
        self._metrics = metrics

    async def get_or_compute(
        self, key: str, compute: Callable[[], Coroutine[Any, Any, EncodedMedia]], group: str = ""
    ) -> EncodedMedia:
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

    def _store(self, key: str, value: EncodedMedia) -> None:
        if key not in self._entries and value.nbytes <= self._entries.maxsize:
            num_before = len(self._entries)
            self._entries[key] = value
            self._metrics.image_cache_evictions.inc(num_before + 1 - len(self._entries))
        self._metrics.image_cache_bytes.set(self._entries.currsize)
