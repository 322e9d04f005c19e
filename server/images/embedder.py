"""A request's images: fetched, decoded and encoded, or only counted in rows of the prompt."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from server.concurrency import gather_or_cancel
from server.errors import ImageError
from server.images.budget import ImageBudget
from server.images.loader import ImageLoader, LoadedImage
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import EncodedImage, ImageEmbedsCache
from server.protocol.chat.request import ImageReference
from server.telemetry.metrics import Metrics


class ImageEmbedder:
    """Takes images through loading, the cache and the vision side.

    They are shared within a `tenant` only, and spend the request's `budget`.
    """

    def __init__(
        self,
        media: ImageLoader,
        vision: VisionBatcher,
        cache: ImageEmbedsCache[EncodedImage],
        metrics: Metrics,
    ) -> None:
        self._media = media
        self._vision = vision
        self._cache = cache
        self._metrics = metrics

    async def embed(
        self, references: Sequence[ImageReference], tenant: str, budget: ImageBudget
    ) -> list[tuple[str, Tensor]]:
        """Return each image's content key and its image_embeds (num_image_tokens, hidden).

        Raises `ImageError`.
        """
        return await gather_or_cancel(self._embed(each, tenant, budget) for each in references)

    async def count(
        self, references: Sequence[ImageReference], tenant: str, budget: ImageBudget
    ) -> list[int]:
        """Return the rows that each image takes in the prompt.

        Images are loaded only where their size matters. Raises `ImageError`.
        """
        return await gather_or_cancel(self._count(each, tenant, budget) for each in references)

    async def _embed(
        self, reference: ImageReference, tenant: str, budget: ImageBudget
    ) -> tuple[str, Tensor]:
        with self._blaming(reference):
            image = await self._load(reference, tenant, budget)
            encoded = await self._cache.get_or_compute(image.key, lambda: self._encode(image))
            budget.spend(encoded, reference.param)
        return image.key, encoded.image_embeds

    async def _count(self, reference: ImageReference, tenant: str, budget: ImageBudget) -> int:
        if reference.low_detail or not self._vision.rows_depend_on_size:
            return self._vision.num_rows()
        with self._blaming(reference):
            image = await self._load(reference, tenant, budget)
            decoded = await self._media.decode(image.data, base_view_only=True)
            budget.spend(decoded, reference.param)
        return self._vision.num_rows(decoded.image_size)

    async def _load(
        self, reference: ImageReference, tenant: str, budget: ImageBudget
    ) -> LoadedImage:
        return await self._media.load(
            reference.url,
            low_detail=reference.low_detail,
            tenant=tenant,
            deadline=budget.deadline,
        )

    async def _encode(self, image: LoadedImage) -> EncodedImage:
        decoded = await self._media.decode(image.data, base_view_only=image.base_view_only)
        image_embeds = await self._vision.encode(decoded.views, decoded.image_size)
        return EncodedImage(image_embeds, decoded.image_size, decoded.frames)

    @contextmanager
    def _blaming(self, reference: ImageReference) -> Iterator[None]:
        """Name the image's field in what is raised, and count it."""
        try:
            yield
        except ImageError as error:
            self._metrics.image_refusals.labels(error.code).inc()
            raise error.at(reference.param) from None
