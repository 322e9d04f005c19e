"""Loading an image: fetched, named by its content, decoded in a worker process."""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from blake3 import blake3
from pebble import ProcessExpired

from server.errors import ImageCorrupt, ImageError, ImageFormatUnsupported, ImageTooLarge
from server.media.decode import Decoded, DecodeOptions, Fault, Undecodable
from server.media.fetch import Fetcher
from server.media.formats import FORMATS
from server.media.workers import DecodeWorkers
from server.metrics import Metrics
from server.single_flight import SingleFlight

# Below this, hashing takes less time than handing the bytes to a thread.
INLINE_HASH: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """An image's encoded bytes, and the key that names its content.

    `base_view_only`: of the views of an anyres model only the first is wanted.
    """

    data: bytes
    key: str
    base_view_only: bool = False


class MediaLoader:
    """Fetches and decodes images, each URL once at a time."""

    def __init__(
        self,
        fetcher: Fetcher,
        options: DecodeOptions,
        *,
        workers: int,
        timeout_s: float,
        variant: str,
        metrics: Metrics,
    ) -> None:
        self._fetcher = fetcher
        self._options = options
        self._base_view = replace(options, grid_pinpoints=())
        self._variant = blake3(variant.encode()).digest()
        self._base_view_variant = blake3(f"{variant} base view".encode()).digest()
        self._metrics = metrics
        self._downloads: SingleFlight[bytes] = SingleFlight()
        self._workers = DecodeWorkers(count=workers, timeout_s=timeout_s)

    async def load(self, url: str, *, low_detail: bool = False) -> LoadedImage:
        """Return an image's encoded bytes and its content key. Raises `ImageError`.

        `low_detail` gives an anyres model the base view only; for others it changes nothing.
        """
        with self._metrics.stage("load"):
            if url[:5].lower() == "data:":
                data = await self._fetcher.fetch(url)
            else:
                data = await self._downloads.run(url, lambda: self._fetcher.fetch(url))
            base_view_only = low_detail and self._options.aspect_ratio == "anyres"
            variant = self._base_view_variant if base_view_only else self._variant
            if len(data) <= INLINE_HASH:
                key = content_key(data, variant)
            else:
                key = await asyncio.to_thread(content_key, data, variant)
            return LoadedImage(data, key, base_view_only)

    async def decode(self, data: bytes, *, base_view_only: bool = False) -> Decoded:
        """Decode and preprocess in a worker. Raises `ImageError`."""
        options = self._base_view if base_view_only else self._options
        try:
            result = await self._workers.run(data, options)
        except (TimeoutError, ProcessExpired):
            raise ImageCorrupt("The image could not be decoded.") from None
        if isinstance(result, Undecodable):
            raise self._error(result)
        self._metrics.observe_stage("decode", result.decode_s)
        self._metrics.observe_stage("preprocess", result.preprocess_s)
        return result

    def close(self) -> None:
        """End the workers."""
        self._workers.close()

    def _error(self, refused: Undecodable) -> ImageError:
        size = f"{refused.width}x{refused.height}"
        match refused.fault:
            case Fault.FORMAT:
                return ImageFormatUnsupported(
                    f"The data is not an image of a supported format ({', '.join(FORMATS)})."
                )
            case Fault.CORRUPT:
                return ImageCorrupt("The image is damaged or cut short.")
            case Fault.PIXELS:
                limit = self._options.max_pixels
                return ImageTooLarge(f"The image has {size} pixels; the limit is {limit} in all.")
            case Fault.SHAPE:
                return ImageTooLarge(f"The image is too oblong: {size} pixels.")
            case Fault.FRAMES:
                limit = self._options.max_frames
                return ImageTooLarge(f"The image has more than {limit} frames.")
            case Fault.ANIMATED:
                return ImageFormatUnsupported("Animated images are not accepted.")
            case Fault.MEMORY:
                return ImageTooLarge("Decoding the image takes more memory than allowed.")


def content_key(data: bytes, variant: bytes) -> str:
    """Name an image by its bytes and by `variant` (32 bytes), all else that shapes its embedding.

    Returns 64 hexadecimal digits of keyed BLAKE3.
    """
    return blake3(data, key=variant).hexdigest()
