"""Loads images: fetching, a content key, and decoding in a worker process."""

import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from llava_spec.anyres import Size
from server.errors import ImageCorrupt, ImageError, ImageFormatUnsupported, ImageTooLarge
from server.images.decode.decode import (
    DecodedImage,
    DecodeFailure,
    DecodeFault,
    DecodeOptions,
    decode,
)
from server.images.decode.image_size import measure_image
from server.images.decode.view_choice import ViewChoice, narrow_options
from server.images.decode.workers import DecodeWorkers
from server.images.fetch.fetcher import Fetcher
from server.images.media_kind import IMAGE
from server.images.source import LoadedMedia, MediaSource
from server.telemetry.metrics import Metrics
from server.telemetry.timeline import annotate

Result = TypeVar("Result")

REFUSALS: Final[Mapping[DecodeFault, type[ImageError]]] = {
    DecodeFault.FORMAT: ImageFormatUnsupported,
    DecodeFault.CORRUPT: ImageCorrupt,
    DecodeFault.PIXELS: ImageTooLarge,
    DecodeFault.SHAPE: ImageTooLarge,
    DecodeFault.FRAMES: ImageTooLarge,
    DecodeFault.ANIMATED: ImageFormatUnsupported,
    DecodeFault.SCANS: ImageTooLarge,
    DecodeFault.MEMORY: ImageTooLarge,
}


class ImageLoader:
    """Fetches and decodes images. Concurrent loads of one URL share a fetch."""

    def __init__(
        self,
        fetcher: Fetcher,
        options: DecodeOptions,
        workers: DecodeWorkers,
        *,
        variant: str,
        metrics: Metrics,
    ) -> None:
        self._source = MediaSource(IMAGE, fetcher, variant, metrics, metrics.image_bytes)
        self._options = options
        self._workers = workers
        self._metrics = metrics

    async def load(
        self,
        url: str,
        cache_partition: str,
        *,
        views: ViewChoice = ViewChoice.ALL,
        deadline: float | None = None,
    ) -> LoadedMedia:
        """Return an image's encoded bytes and its content key. Raises `ImageError`.

        The key depends on `views`, which are those that `decode` is to make. Fetches and keys are
        shared only within a `cache_partition`. `deadline` is when fetching ends, on the event
        loop's clock.
        """
        return await self._source.load(url, cache_partition, views.value, deadline)

    async def decode(self, data: bytes, views: ViewChoice = ViewChoice.ALL) -> DecodedImage:
        """Decode and preprocess an image in a worker. Raises `ImageError`."""
        decoded = await self._run(decode, data, narrow_options(self._options, views))
        self._observe(decoded)
        return decoded

    async def measure(self, data: bytes) -> Size:
        """Return an upright image's (width, height), as `measure_image`. Raises `ImageError`."""
        return await self._run(measure_image, data, self._options)

    async def _run(
        self,
        function: Callable[[bytes, DecodeOptions], Result | DecodeFailure],
        data: bytes,
        options: DecodeOptions,
    ) -> Result:
        with IMAGE.translate_worker_errors():
            result = await self._workers.run(function, data, options)
        if isinstance(result, DecodeFailure):
            raise self._build_error(result)
        return result

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
        return REFUSALS[failure.fault](_describe(failure, self._options))


def _describe(failure: DecodeFailure, options: DecodeOptions) -> str:
    """Return what a client is told about a refused image."""
    size = f"{failure.width}x{failure.height}"
    formats = ", ".join(options.formats)
    return {
        DecodeFault.FORMAT: f"The data is not an image of a supported format ({formats}).",
        DecodeFault.CORRUPT: "The image is damaged or cut short.",
        DecodeFault.PIXELS: f"The image has {size} pixels; the limit is {options.max_pixels} in"
        " all.",
        DecodeFault.SHAPE: f"The image is too oblong: {size} pixels.",
        DecodeFault.FRAMES: f"The image has more than {options.max_frames} frames.",
        DecodeFault.ANIMATED: "Animated images are not accepted.",
        DecodeFault.SCANS: f"The JPEG has more than {options.max_scans} scans; encode it anew.",
        DecodeFault.MEMORY: "Decoding the image takes more memory than allowed.",
    }[failure.fault]
