"""Requests beside each other share an encoding, but not what each of them may spend."""

import asyncio

import pytest
import torch

from server.errors import ImageTooLarge
from server.images.budget import Charge, MediaBudget
from server.images.embedding import CachedEmbedding
from server.images.media_kind import IMAGE
from server.images.source import LoadedMedia
from server.images.vision.cache import EncodedMedia, ImageEmbedsCache
from server.telemetry.metrics import Metrics

ENCODED = EncodedMedia(torch.zeros(4, 8), pixels=100, num_frames=1, total_frames=1)


class Encoder:
    """Encodes at once, but for its first call, which waits for `go`."""

    def __init__(self) -> None:
        self.runs = 0
        self.started, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, _: bytes, charge: Charge) -> EncodedMedia:
        self.runs += 1
        self.started.set()
        await self.go.wait()
        charge.make(ENCODED, len(ENCODED.embeds))
        return ENCODED


async def load() -> LoadedMedia:
    return LoadedMedia(b"data", "key")


async def embed_beside_each_other(first: MediaBudget, second: MediaBudget) -> tuple[object, ...]:
    """Embed one image in two requests at the same time; return both results and the runs."""
    metrics, encoder = Metrics(), Encoder()
    embedding = CachedEmbedding(IMAGE, ImageEmbedsCache(1000, metrics), metrics.image_refusals)
    tasks = [asyncio.create_task(embedding.embed(load(), encoder, "a", first))]
    await encoder.started.wait()
    tasks.append(asyncio.create_task(embedding.embed(load(), encoder, "b", second)))
    await asyncio.sleep(0)  # it joins the first
    encoder.go.set()
    return (*await asyncio.gather(*tasks, return_exceptions=True), encoder.runs)


def spent(pixels: int) -> MediaBudget:
    return MediaBudget(0.0, 1000, 4096, spent_pixels=pixels)


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_request_is_not_refused_for_the_budget_of_another(is_first: bool) -> None:
    budgets = (spent(950), spent(0)) if is_first else (spent(0), spent(950))
    *results, runs = await embed_beside_each_other(*budgets)
    refused, embedded = results if is_first else reversed(results)
    assert isinstance(refused, ImageTooLarge)
    assert "at least 1050 pixels" in refused.message
    assert refused.param == ("a" if is_first else "b")
    assert isinstance(embedded, tuple)
    assert embedded[1] is ENCODED.embeds
    assert runs == (2 if is_first else 1)


async def test_both_may_be_refused() -> None:
    *results, _ = await embed_beside_each_other(spent(950), spent(960))
    assert [each.message[:75] for each in results if isinstance(each, ImageTooLarge)] == [
        f"The request's images and frames of videos have at least {pixels} pixels together"[:75]
        for pixels in (1050, 1060)
    ]
