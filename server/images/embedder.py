"""Turns a request's images into image_embeds, or only counts their image tokens."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from server.concurrency import gather_or_cancel
from server.images.budget import Charge, MediaBudget
from server.images.decode.view_choice import ViewChoice, choose_views
from server.images.embedding import CachedEmbedding
from server.images.loader import ImageLoader
from server.images.media_kind import IMAGE
from server.images.source import LoadedMedia
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import EncodedMedia, ImageEmbedsCache
from server.protocol.chat.request import ImageReference
from server.telemetry.metrics import Metrics


class ImageEmbedder:
    """Loads and encodes images, through the cache of image embeddings.

    Images are shared only within a `cache_partition`, and are counted against the request's
    `budget`.
    """

    def __init__(
        self,
        loader: ImageLoader,
        vision: VisionBatcher,
        cache: ImageEmbedsCache,
        metrics: Metrics,
    ) -> None:
        self._loader = loader
        self._vision = vision
        self._embedding = CachedEmbedding(IMAGE, cache, metrics.image_refusals)

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
        return await self._embedding.embed(
            self._load(reference, views, cache_partition, budget),
            lambda data, charge: self._encode(data, views, charge),
            reference.param,
            budget,
        )

    async def _count_image_tokens(
        self,
        reference: ImageReference,
        views: ViewChoice,
        cache_partition: str,
        budget: MediaBudget,
    ) -> int:
        if not self._depends_on_size(views):
            return self._vision.count_image_tokens()
        with self._embedding.attribute_errors(reference.param):
            image = await self._load(reference, views, cache_partition, budget)
            size = await self._loader.measure(image.data)
            budget.spend_pixels(size[0] * size[1], IMAGE)
        return self._vision.count_image_tokens(size)

    def _depends_on_size(self, views: ViewChoice) -> bool:
        """Whether an image's number of image tokens depends on its size."""
        return self._vision.image.aspect_ratio == "anyres" and views is ViewChoice.ALL

    async def _load(
        self,
        reference: ImageReference,
        views: ViewChoice,
        cache_partition: str,
        budget: MediaBudget,
    ) -> LoadedMedia:
        return await self._loader.load(
            reference.url, cache_partition, views=views, deadline=budget.deadline
        )

    async def _encode(self, data: bytes, views: ViewChoice, charge: Charge) -> EncodedMedia:
        decoded = await self._loader.decode(data, views)
        size = decoded.image_size if self._depends_on_size(views) else None
        charge.make(decoded, self._vision.count_image_tokens(size))
        image_embeds = await self._vision.encode(decoded.views, decoded.image_size)
        return EncodedMedia.build(image_embeds, decoded)
