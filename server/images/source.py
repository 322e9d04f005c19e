"""What images and videos have in common: fetching within a request's time, and content keys."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from blake3 import blake3
from prometheus_client import Counter

from server.concurrency import SingleFlight, run_in_thread_if_large
from server.errors import ApiError
from server.images.fetch.data_url import is_data_url
from server.images.fetch.errors import FetchError, FetchFailed
from server.images.fetch.fetcher import Fetcher
from server.telemetry.metrics import Metrics

# Less data is hashed on the event loop.
MAX_INLINE_HASH_BYTES: Final = 1024 * 1024


class MediaSource:
    """Fetches encoded data, and derives its content key. Concurrent fetches of one URL are one.

    Fetches and keys are shared only within a `cache_partition`. `variant` is all that affects the
    embeddings of every image or video of this source, `errors` what its fetches' errors become.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        variant: str,
        errors: Mapping[type[FetchError], type[ApiError]],
        metrics: Metrics,
    ) -> None:
        self._fetcher = fetcher
        self._errors = errors
        self._variant_digest = blake3(variant.encode()).digest()
        self._metrics = metrics
        self._fetches: SingleFlight[bytes] = SingleFlight()

    async def fetch(self, url: str, cache_partition: str, deadline: float | None) -> bytes:
        """Return the data of a URL, until `deadline` on the event loop's clock.

        Raises one of `errors`.
        """
        try:
            return await self._fetch(url, cache_partition, deadline)
        except FetchError as error:
            raise self._errors[type(error)](str(error)) from None

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

    async def derive_key(self, data: bytes, cache_partition: str, choice: str) -> str:
        """Return the content key of data of which `choice` says what is used."""
        variant = blake3(
            repr((cache_partition, choice)).encode(), key=self._variant_digest
        ).digest()
        return await run_in_thread_if_large(
            len(data), MAX_INLINE_HASH_BYTES, lambda: compute_content_key(data, variant)
        )


@contextmanager
def attribute_errors(kind: type[ApiError], param: str, refusals: Counter) -> Iterator[None]:
    """Set `param` as the field of errors of a kind, and count them by their code."""
    try:
        yield
    except kind as error:
        refusals.labels(error.code).inc()
        raise error.at(param) from None


def compute_content_key(data: bytes, variant: bytes) -> str:
    """Hash an image's or video's bytes, keyed by `variant` (32 bytes): all else of its embeddings.

    Returns 64 hexadecimal digits of keyed BLAKE3.
    """
    return blake3(data, key=variant).hexdigest()
