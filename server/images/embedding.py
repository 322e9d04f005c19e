"""Embeds one image or video: load, look it up in the cache, else encode it, and count it."""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import Counter
from torch import Tensor

from server.errors import ApiError
from server.images.budget import Charge, MediaBudget
from server.images.media_kind import MediaKind
from server.images.source import LoadedMedia
from server.images.vision.cache import EncodedMedia, ImageEmbedsCache
from server.telemetry.stages import Span

Encode = Callable[[bytes, Charge], Coroutine[Any, Any, EncodedMedia]]


class ChargeRefusedError(Exception):
    """An image or video was not encoded, since the request that began with it may not have it."""

    def __init__(self, charge: Charge, reason: ApiError) -> None:
        super().__init__(charge, reason)
        self.charge = charge
        self.reason = reason


class CachedEmbedding:
    """Embeds images or videos through the cache; `refusals` counts those that are refused."""

    def __init__(self, kind: MediaKind, cache: ImageEmbedsCache, refusals: Counter) -> None:
        self._kind = kind
        self._cache = cache
        self._refusals = refusals

    async def embed(
        self, loading: Awaitable[LoadedMedia], encode: Encode, param: str, budget: MediaBudget
    ) -> tuple[str, Tensor]:
        """Return the content key and the embeddings (num_tokens, hidden) of what is loaded.

        `encode` makes the charge before the vision tower runs.
        """
        with Span(self._kind.name), self.attribute_errors(param):
            loaded = await loading
            charge = Charge(budget, self._kind, param)
            encoded = await self._encode_once(loaded, encode, charge)
            charge.make(encoded, len(encoded.embeds))
        return loaded.key, encoded.embeds

    async def _encode_once(
        self, loaded: LoadedMedia, encode: Encode, charge: Charge
    ) -> EncodedMedia:
        """Return what is cached, or what this request or one beside it encodes.

        The other one's budget may not suffice; this one's is then tried.
        """

        async def compute() -> EncodedMedia:
            try:
                return await encode(loaded.data, charge)
            except ApiError as error:
                if charge.is_refused:
                    raise ChargeRefusedError(charge, error) from None
                raise

        while True:
            try:
                return await self._cache.get_or_compute(
                    loaded.key, compute, charge.budget.meter.key_name
                )
            except ChargeRefusedError as refused:
                if refused.charge is charge:
                    raise refused.reason from None

    @contextmanager
    def attribute_errors(self, param: str) -> Iterator[None]:
        """Set `param` as the field of errors about an image or video, and count them by code."""
        try:
            yield
        except self._kind.base as error:
            self._refusals.labels(error.code).inc()
            raise error.at(param) from None
