"""Where images and videos come from: fetching within a request's time, and content keys."""

import asyncio
from dataclasses import dataclass
from typing import Final

from blake3 import blake3
from prometheus_client import Histogram

from server.concurrency import SingleFlight, run_in_thread_if_large
from server.images.fetch.data_url import is_data_url
from server.images.fetch.errors import FetchFailed
from server.images.fetch.fetcher import Fetcher
from server.images.media_kind import MediaKind
from server.telemetry.metrics import Metrics
from server.telemetry.timeline import annotate

# Less data is hashed on the event loop.
MAX_INLINE_HASH_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LoadedMedia:
    """An image's or video's encoded bytes, and its content key."""

    data: bytes
    key: str


class MediaSource:
    """Loads encoded images or videos. Concurrent loads of one URL share a fetch.

    Fetches and keys are shared only within a `cache_partition`. `variant` is all that affects the
    embeddings of every image or video of this source. `num_bytes` observes the size of each.
    """

    def __init__(
        self,
        kind: MediaKind,
        fetcher: Fetcher,
        variant: str,
        metrics: Metrics,
        num_bytes: Histogram,
    ) -> None:
        self._kind = kind
        self._fetcher = fetcher
        self._variant_digest = blake3(variant.encode()).digest()
        self._metrics = metrics
        self._num_bytes = num_bytes
        self._fetches: SingleFlight[bytes] = SingleFlight()

    async def load(
        self, url: str, cache_partition: str, choice: str, deadline: float | None
    ) -> LoadedMedia:
        """Return the data of a URL, and its content key; `choice` says what is used of the data.

        Fetching ends at `deadline` on the event loop's clock. Raises an error of the source's kind.
        """
        with self._metrics.stage("load"):
            with self._kind.translate_fetch_errors():
                data = await self._fetch(url, cache_partition, deadline)
            self._num_bytes.observe(len(data))
            annotate(f"llava.{self._kind.name}.bytes", len(data))
            return LoadedMedia(data, await self._derive_key(data, cache_partition, choice))

    async def _fetch(self, url: str, cache_partition: str, deadline: float | None) -> bytes:
        if is_data_url(url):
            return await self._fetcher.fetch(url, cache_partition)
        try:
            with self._metrics.stage("fetch"):
                async with asyncio.timeout_at(deadline):
                    return await self._fetches.run(
                        (cache_partition, url), lambda: self._fetcher.fetch(url, cache_partition)
                    )
        except TimeoutError:
            raise FetchFailed(
                "The request's images and videos could not be fetched in the time that a request"
                " has."
            ) from None

    async def _derive_key(self, data: bytes, cache_partition: str, choice: str) -> str:
        variant = blake3(
            repr((cache_partition, choice)).encode(), key=self._variant_digest
        ).digest()
        return await run_in_thread_if_large(
            len(data), MAX_INLINE_HASH_BYTES, lambda: compute_content_key(data, variant)
        )


def compute_content_key(data: bytes, variant: bytes) -> str:
    """Hash an image's or video's bytes, keyed by `variant` (32 bytes): all else of its embeddings.

    Returns 64 hexadecimal digits of keyed BLAKE3.
    """
    return blake3(data, key=variant).hexdigest()
