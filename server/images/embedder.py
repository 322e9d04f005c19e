"""Turns a request's images into image_embeds, or only counts their image tokens."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from server.concurrency import gather_or_cancel
from server.errors import ImageError
from server.images.budget import Charge, MediaBudget
from server.images.decode.view_choice import ViewChoice, choose_views
from server.images.loader import ImageLoader, LoadedImage
from server.images.source import attribute_errors
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import EncodedImage, ImageEmbedsCache
from server.protocol.chat.request import ImageReference
from server.telemetry.metrics import Metrics
from server.telemetry.stages import Span


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
        self, references: Sequence[ImageReference], cache_partition: str, budget: MediaBudget
    ) -> list[tuple[str, Tensor]]:
        """Return each image's content key and its image_embeds (num_image_tokens, hidden).

        Raises `ImageError`, `ContextLengthExceeded` before an image is encoded that cannot fit, or
        `TooManyRequests` where the key has no image tokens left.
        """
        budget.check_context(len(references) * self._vision.count_image_tokens())
        return await gather_or_cancel(
            self._embed(reference, views, cache_partition, budget)
            for reference, views in self._choose_views(references)
        )

    async def count_image_tokens(
        self, references: Sequence[ImageReference], cache_partition: str, budget: MediaBudget
    ) -> list[int]:
        """Return each image's number of image tokens.

        Images are loaded only if their size matters. Raises `ImageError`.
        """
        return await gather_or_cancel(
            self._count_image_tokens(reference, views, cache_partition, budget)
            for reference, views in self._choose_views(references)
        )

    def _choose_views(
        self, references: Sequence[ImageReference]
    ) -> Iterator[tuple[ImageReference, ViewChoice]]:
        image, num_images = self._vision.image, len(references)
        for reference in references:
            yield (
                reference,
                choose_views(image, num_images=num_images, low_detail=reference.low_detail),
            )

    async def _embed(
        self,
        reference: ImageReference,
        views: ViewChoice,
        cache_partition: str,
        budget: MediaBudget,
    ) -> tuple[str, Tensor]:
        with (
            Span("image"),
            attribute_errors(ImageError, reference.param, self._metrics.image_refusals),
        ):
            image = await self._load(reference, views, cache_partition, budget)
            charge = Charge(budget, reference.param)
            encoded = await self._cache.get_or_compute(
                image.key, lambda: self._encode(image, charge), budget.meter.key_name
            )
            charge.make_image(encoded, len(encoded.image_embeds))
        return image.key, encoded.image_embeds

    async def _count_image_tokens(
        self,
        reference: ImageReference,
        views: ViewChoice,
        cache_partition: str,
        budget: MediaBudget,
    ) -> int:
        if not self._depends_on_size(views):
            return self._vision.count_image_tokens()
        with attribute_errors(ImageError, reference.param, self._metrics.image_refusals):
            image = await self._load(reference, views, cache_partition, budget)
            decoded = await self._loader.decode(image.data, ViewChoice.BASE)
            budget.spend(decoded, reference.param)
        return self._vision.count_image_tokens(decoded.image_size)

    def _depends_on_size(self, views: ViewChoice) -> bool:
        """Whether an image's number of image tokens depends on its size."""
        return self._vision.image.aspect_ratio == "anyres" and views is ViewChoice.ALL

    async def _load(
        self,
        reference: ImageReference,
        views: ViewChoice,
        cache_partition: str,
        budget: MediaBudget,
    ) -> LoadedImage:
        return await self._loader.load(
            reference.url, cache_partition, views=views, deadline=budget.deadline
        )

    async def _encode(self, image: LoadedImage, charge: Charge) -> EncodedImage:
        decoded = await self._loader.decode(image.data, image.views)
        size = decoded.image_size if self._depends_on_size(image.views) else None
        num_image_tokens = self._vision.count_image_tokens(size)
        charge.make_image(decoded, num_image_tokens)
        image_embeds = await self._vision.encode(decoded.views, decoded.image_size)
        return EncodedImage(image_embeds, decoded.image_size, decoded.frames)
