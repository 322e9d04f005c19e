"""Loads images: fetching, a content key, and decoding in a worker process."""

import time
from collections.abc import Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Final

from pebble import ProcessExpired

from server.errors import (
    ImageCorrupt,
    ImageError,
    ImageFetchFailed,
    ImageFormatUnsupported,
    ImageTooLarge,
    ImageUrlForbidden,
    ImageUrlInvalid,
)
from server.images.decode.decode import DecodedImage, DecodeFailure, DecodeFault, DecodeOptions
from server.images.decode.sandbox import DecodeLimits
from server.images.decode.view_choice import ViewChoice, narrow_options
from server.images.decode.workers import DecodeWorkers
from server.images.fetch.errors import (
    DataTooLarge,
    FetchError,
    FetchFailed,
    UrlForbidden,
    UrlInvalid,
)
from server.images.fetch.fetcher import Fetcher
from server.images.source import MediaSource
from server.telemetry.metrics import Metrics
from server.telemetry.timeline import annotate

FETCH_ERRORS: Final[Mapping[type[FetchError], type[ImageError]]] = {
    UrlInvalid: ImageUrlInvalid,
    UrlForbidden: ImageUrlForbidden,
    FetchFailed: ImageFetchFailed,
    DataTooLarge: ImageTooLarge,
}


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """An image's encoded bytes, its content key and the views that are needed of it."""

    data: bytes
    key: str
    views: ViewChoice = ViewChoice.ALL


class ImageLoader:
    """Fetches and decodes images. Concurrent loads of one URL share a fetch."""

    def __init__(
        self,
        fetcher: Fetcher,
        options: DecodeOptions,
        *,
        workers: int,
        limits: DecodeLimits,
        variant: str,
        metrics: Metrics,
    ) -> None:
        self._source = MediaSource(fetcher, variant, FETCH_ERRORS, metrics)
        self._options = options
        self._limits = limits
        self._metrics = metrics
        self.workers = DecodeWorkers(count=workers, limits=limits, metrics=metrics)

    async def load(
        self,
        url: str,
        cache_partition: str,
        *,
        views: ViewChoice = ViewChoice.ALL,
        deadline: float | None = None,
    ) -> LoadedImage:
        """Return an image's encoded bytes and its content key. Raises `ImageError`.

        The key depends on `views`, which are those that `decode` is to make. Fetches and keys are
        shared only within a `cache_partition`. `deadline` is when fetching ends, on the event
        loop's clock.
        """
        with self._metrics.stage("load"):
            data = await self._source.fetch(url, cache_partition, deadline)
            self._metrics.image_bytes.observe(len(data))
            annotate("llava.image.bytes", len(data))
            key = await self._source.derive_key(data, cache_partition, views.value)
            return LoadedImage(data, key, views)

    async def decode(self, data: bytes, views: ViewChoice = ViewChoice.ALL) -> DecodedImage:
        """Decode and preprocess an image in a worker. Raises `ImageError`."""
        try:
            result = await self.workers.run(data, narrow_options(self._options, views))
        except TimeoutError:
            raise ImageCorrupt(
                f"The image could not be decoded within {self._limits.wall_s:g} seconds."
            ) from None
        except (ProcessExpired, BrokenProcessPool):
            raise ImageCorrupt("The image could not be decoded.") from None
        if isinstance(result, DecodeFailure):
            raise self._build_error(result)
        self._observe(result)
        return result

    def close(self) -> None:
        """End the workers."""
        self.workers.close()

    def _observe(self, decoded: DecodedImage) -> None:
        now = time.perf_counter()
        decoded_at = now - decoded.preprocess_s
        self._metrics.record_stage("decode", decoded_at - decoded.decode_s, decoded_at)
        self._metrics.record_stage("preprocess", decoded_at, now)
        annotate("llava.image.format", decoded.format)
        annotate("llava.image.pixels", decoded.pixels)
        self._metrics.image_pixels.observe(decoded.pixels)
        self._metrics.images_decoded.labels(decoded.format).inc()

    def _build_error(self, failure: DecodeFailure) -> ImageError:
        size = f"{failure.width}x{failure.height}"
        match failure.fault:
            case DecodeFault.FORMAT:
                formats = ", ".join(self._options.formats)
                return ImageFormatUnsupported(
                    f"The data is not an image of a supported format ({formats})."
                )
            case DecodeFault.CORRUPT:
                return ImageCorrupt("The image is damaged or cut short.")
            case DecodeFault.PIXELS:
                limit = self._options.max_pixels
                return ImageTooLarge(f"The image has {size} pixels; the limit is {limit} in all.")
            case DecodeFault.SHAPE:
                return ImageTooLarge(f"The image is too oblong: {size} pixels.")
            case DecodeFault.FRAMES:
                limit = self._options.max_frames
                return ImageTooLarge(f"The image has more than {limit} frames.")
            case DecodeFault.ANIMATED:
                return ImageFormatUnsupported("Animated images are not accepted.")
            case DecodeFault.MEMORY:
                return ImageTooLarge("Decoding the image takes more memory than allowed.")
