"""Turns a request's images into image_embeds, or only counts their image tokens."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from server.concurrency import gather_or_cancel
from server.errors import ImageError
from server.images.budget import ImageBudget
from server.images.loader import ImageLoader, LoadedImage
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import EncodedImage, ImageEmbedsCache
from server.protocol.chat.request import ImageReference
from server.telemetry.metrics import Metrics
from server.telemetry.stages import Span
from server.telemetry.token_meter import TokenMeter


@dataclass(slots=True)
class _Charge:
    """Counts one image against the limits of the request's key.

    It is made before the vision tower runs, or after another request has had the image encoded.
    """

    meter: TokenMeter
    is_made: bool = False

    def make(self, num_image_tokens: int) -> None:
        """Count the image, unless that is done. Raises `TooManyRequests`."""
        if not self.is_made:
            self.is_made = True
            self.meter.charge_image_tokens(num_image_tokens)


class ImageEmbedder:
    """Loads and encodes images, through the cache of image embeddings.

    Images are shared only within a `cache_partition`, and are counted against the request's
    `budget`.
    """

    def __init__(
        self,
        loader: ImageLoader,
        vision: VisionBatcher,
        cache: ImageEmbedsCache[EncodedImage],
        metrics: Metrics,
    ) -> None:
        self._loader = loader
        self._vision = vision
        self._cache = cache
        self._metrics = metrics

    async def embed(
        self, references: Sequence[ImageReference], cache_partition: str, budget: ImageBudget
    ) -> list[tuple[str, Tensor]]:
        """Return each image's content key and its image_embeds (num_image_tokens, hidden).

        Raises `ImageError`, or `TooManyRequests` where the key has no image tokens left.
        """
        return await gather_or_cancel(
            self._embed(reference, cache_partition, budget) for reference in references
        )

    async def count_image_tokens(
        self, references: Sequence[ImageReference], cache_partition: str, budget: ImageBudget
    ) -> list[int]:
        """Return each image's number of image tokens.

        Images are loaded only if their size matters. Raises `ImageError`.
        """
        return await gather_or_cancel(
            self._count_image_tokens(reference, cache_partition, budget) for reference in references
        )

    async def _embed(
        self, reference: ImageReference, cache_partition: str, budget: ImageBudget
    ) -> tuple[str, Tensor]:
        with Span("image"), self._attribute_errors(reference):
            image = await self._load(reference, cache_partition, budget)
            charge = _Charge(budget.meter)
            encoded = await self._cache.get_or_compute(
                image.key, lambda: self._encode(image, charge), budget.meter.key_name
            )
            charge.make(len(encoded.image_embeds))
            budget.spend(encoded, reference.param)
        return image.key, encoded.image_embeds

    async def _count_image_tokens(
        self, reference: ImageReference, cache_partition: str, budget: ImageBudget
    ) -> int:
        if reference.low_detail or not self._vision.tokens_depend_on_size:
            return self._vision.count_image_tokens()
        with self._attribute_errors(reference):
            image = await self._load(reference, cache_partition, budget)
            decoded = await self._loader.decode(image.data, base_view_only=True)
            budget.spend(decoded, reference.param)
        return self._vision.count_image_tokens(decoded.image_size)

    async def _load(
        self, reference: ImageReference, cache_partition: str, budget: ImageBudget
    ) -> LoadedImage:
        return await self._loader.load(
            reference.url,
            cache_partition,
            low_detail=reference.low_detail,
            deadline=budget.deadline,
        )

    async def _encode(self, image: LoadedImage, charge: "_Charge") -> EncodedImage:
        decoded = await self._loader.decode(image.data, base_view_only=image.base_view_only)
        size = None if image.base_view_only else decoded.image_size
        charge.make(self._vision.count_image_tokens(size))
        image_embeds = await self._vision.encode(decoded.views, decoded.image_size)
        return EncodedImage(image_embeds, decoded.image_size, decoded.frames)

    @contextmanager
    def _attribute_errors(self, reference: ImageReference) -> Iterator[None]:
        """Set the image's field as the `param` of its errors, and count them."""
        try:
            yield
        except ImageError as error:
            self._metrics.image_refusals.labels(error.code).inc()
            raise error.at(reference.param) from None
