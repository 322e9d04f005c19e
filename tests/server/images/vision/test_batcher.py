"""Batching over requests, with a real tower that can be paused."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from server.checkpoint.vision import ImageConfig
from server.images.vision.batcher import VisionBatcher
from server.images.vision.runner import EagerRunner
from server.images.vision.tower import VisionModel
from server.telemetry.metrics import Metrics
from tests.server.images.vision.small_model import (
    IMAGE,
    VISION,
    build_random_weights,
    build_small_model,
    build_views,
)
from tests.server.released import pinpoints
from tests.server.samples import sample, stage_count

MAX_VIEWS = 4
SHAPE = (640, 480)


class PausableModel(VisionModel):
    """The model, which records the size of each batch and computes once `go` is set."""

    def __init__(self) -> None:
        super().__init__(VISION, IMAGE)
        self.load_state_dict(build_random_weights(self))
        self.started = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self.batches: list[int] = []

    def forward(self, views: Tensor) -> Tensor:
        """Compute once `go` is set."""
        self.batches.append(len(views))
        self.started.set()
        assert self.go.wait(20)
        image_embeds: Tensor = super().forward(views)
        return image_embeds


@pytest.fixture
def model() -> PausableModel:
    """Return a model that is not paused."""
    return PausableModel()


@pytest.fixture
def batcher(model: PausableModel, metrics: Metrics) -> Iterator[VisionBatcher]:
    """Return a batcher of at most four views over the model."""
    batcher = VisionBatcher(EagerRunner(model), max_views=MAX_VIEWS, metrics=metrics)
    yield batcher
    model.go.set()
    batcher.close()


def build_image_views(
    seed: int = 0, count: int = 1, size: int = VISION.image_size
) -> npt.NDArray[np.uint8]:
    """Return the views of one image, as a decode worker returns them."""
    pixels: npt.NDArray[np.uint8] = build_views(count, seed, size).numpy()
    pixels.setflags(write=False)
    return pixels


async def pause(model: PausableModel, batcher: VisionBatcher) -> asyncio.Task[Tensor]:
    """Keep the tower busy with another image until `go` is set."""
    model.go.clear()
    busy = asyncio.create_task(batcher.encode(build_image_views(999), SHAPE))
    await asyncio.to_thread(model.started.wait)
    return busy


async def start_encoding(
    batcher: VisionBatcher, *images: npt.NDArray[np.uint8]
) -> list[asyncio.Task[Tensor]]:
    """Start encoding images; they queue for the tower."""
    tasks = [asyncio.create_task(batcher.encode(each, SHAPE)) for each in images]
    await asyncio.sleep(0)
    return tasks


async def test_one_image(batcher: VisionBatcher, model: PausableModel, metrics: Metrics) -> None:
    image_embeds = await batcher.encode(build_image_views(1), SHAPE)
    expected = model(torch.from_numpy(build_image_views(1).copy()))
    assert image_embeds.shape == (VISION.num_image_tokens, VISION.text_hidden_size)
    torch.testing.assert_close(image_embeds, expected[0])
    assert image_embeds.device.type == "cpu"
    assert not image_embeds.requires_grad
    assert not image_embeds.is_inference()  # inference tensors are unusable outside inference mode
    assert stage_count(metrics, "encode") == 1
    assert sample(metrics, "vision_batch_size_count") == 1


async def test_several_views_of_one_image_follow_each_other(
    batcher: VisionBatcher, model: PausableModel
) -> None:
    image_embeds = await batcher.encode(build_image_views(1, count=3), SHAPE)
    assert image_embeds.shape == (3 * VISION.num_image_tokens, VISION.text_hidden_size)
    expected = model(torch.from_numpy(build_image_views(1, count=3).copy()))
    torch.testing.assert_close(image_embeds, expected.flatten(0, 1))


async def test_queued_images_run_in_one_batch(
    batcher: VisionBatcher, model: PausableModel, metrics: Metrics
) -> None:
    busy = await pause(model, batcher)
    tasks = await start_encoding(batcher, *(build_image_views(seed) for seed in range(3)))
    model.go.set()
    batched = await asyncio.gather(busy, *tasks)
    assert model.batches == [1, 3]
    assert sample(metrics, "vision_batch_size_sum") == 4
    assert sample(metrics, "vision_batch_size_count") == 2
    for seed, image_embeds in enumerate(batched[1:]):
        torch.testing.assert_close(
            image_embeds, await batcher.encode(build_image_views(seed), SHAPE)
        )


async def test_the_view_limit_splits_and_keeps_the_order(
    batcher: VisionBatcher, model: PausableModel
) -> None:
    busy = await pause(model, batcher)
    tasks = await start_encoding(
        batcher, *(build_image_views(seed, count) for seed, count in enumerate([2, 1, 3, 1]))
    )
    model.go.set()
    results = await asyncio.gather(busy, *tasks)
    assert model.batches == [1, 3, 4]
    assert [len(each) // VISION.num_image_tokens for each in results] == [1, 2, 1, 3, 1]


async def test_an_image_of_more_views_than_the_limit_takes_turns_with_others(
    batcher: VisionBatcher, model: PausableModel
) -> None:
    busy = await pause(model, batcher)
    large = build_image_views(1, count=2 * MAX_VIEWS + 2)
    tasks = await start_encoding(batcher, build_image_views(0), large, build_image_views(2))
    model.go.set()
    await tasks[2]
    assert not tasks[1].done()
    expected = model(torch.from_numpy(large.copy())).flatten(0, 1)
    torch.testing.assert_close(await tasks[1], expected, atol=1e-4, rtol=1e-4)
    await asyncio.gather(busy, *tasks)
    assert model.batches[:4] == [1, 1, MAX_VIEWS, 1]
    assert batcher.num_views_waiting == 0


async def test_a_large_image_ends_with_its_last_waiter(
    batcher: VisionBatcher, model: PausableModel
) -> None:
    busy = await pause(model, batcher)
    large, small = await start_encoding(
        batcher, build_image_views(1, count=5 * MAX_VIEWS), build_image_views(2)
    )
    model.go.set()
    await small
    large.cancel()
    await asyncio.gather(busy, batcher.encode(build_image_views(3), SHAPE))
    assert sum(model.batches) < 3 + 5 * MAX_VIEWS


async def test_cancelled_images_are_not_computed(
    batcher: VisionBatcher, model: PausableModel
) -> None:
    busy = await pause(model, batcher)
    tasks = await start_encoding(batcher, *(build_image_views(seed) for seed in range(4)))
    for task in (tasks[0], tasks[2]):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    model.go.set()
    await asyncio.gather(busy, tasks[1], tasks[3])
    assert model.batches == [1, 2]
    torch.testing.assert_close(await tasks[3], await batcher.encode(build_image_views(3), SHAPE))


async def test_no_batch_runs_when_all_its_images_are_cancelled(
    batcher: VisionBatcher, model: PausableModel
) -> None:
    busy = await pause(model, batcher)
    tasks = await start_encoding(batcher, build_image_views(0), build_image_views(1))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    model.go.set()
    await busy
    await batcher.encode(build_image_views(2), SHAPE)
    assert model.batches == [1, 1]


async def test_an_image_cancelled_during_its_batch_does_not_affect_others(
    batcher: VisionBatcher, model: PausableModel, metrics: Metrics
) -> None:
    busy = await pause(model, batcher)
    busy.cancel()
    with pytest.raises(asyncio.CancelledError):
        await busy
    (task,) = await start_encoding(batcher, build_image_views(1))
    model.go.set()
    torch.testing.assert_close(await task, await batcher.encode(build_image_views(1), SHAPE))
    assert stage_count(metrics, "encode") == 2


@pytest.mark.parametrize(
    "broken",
    [
        build_image_views(size=VISION.image_size * 2),  # more patches than positions
        build_image_views(size=2),  # smaller than a patch
    ],
)
async def test_an_error_fails_only_its_batch(
    broken: npt.NDArray[np.uint8], batcher: VisionBatcher, model: PausableModel
) -> None:
    busy = await pause(model, batcher)
    bad = await start_encoding(batcher, broken, broken)
    good = await start_encoding(batcher, *(build_image_views(seed) for seed in range(MAX_VIEWS)))
    model.go.set()
    results = await asyncio.gather(busy, *bad, *good, return_exceptions=True)
    failed = [isinstance(result, Exception) for result in results]
    # Two views that fail, and two that share their batch; the rest is left alone.
    assert failed[:3] == [False, True, True]
    assert failed[5:] == [False, False]
    with pytest.raises(RuntimeError):
        await batcher.encode(broken, SHAPE)
    assert isinstance(await batcher.encode(build_image_views(7), SHAPE), Tensor)


async def test_results_own_their_storage(batcher: VisionBatcher, model: PausableModel) -> None:
    busy = await pause(model, batcher)
    tasks = await start_encoding(batcher, build_image_views(0), build_image_views(1, count=2))
    model.go.set()
    await busy
    one, two = await asyncio.gather(*tasks)
    assert one.untyped_storage().nbytes() == one.nbytes
    assert two.untyped_storage().nbytes() == two.nbytes
    assert one.untyped_storage().data_ptr() != two.untyped_storage().data_ptr()


async def test_batching_changes_no_more_than_rounding_in_bfloat16(metrics: Metrics) -> None:
    model = build_small_model(torch.bfloat16)
    batcher = VisionBatcher(EagerRunner(model), max_views=MAX_VIEWS, metrics=metrics)
    batched = await asyncio.gather(
        *(batcher.encode(build_image_views(seed), SHAPE) for seed in range(MAX_VIEWS))
    )
    assert sample(metrics, "vision_batch_size_count") == 1
    for seed, image_embeds in enumerate(batched):
        assert image_embeds.dtype == torch.bfloat16
        alone = await batcher.encode(build_image_views(seed), SHAPE)
        error = (image_embeds.float() - alone.float()).norm() / alone.float().norm()
        assert error < 0.02
    batcher.close()


async def test_closing_waits_for_the_running_batch(model: PausableModel, metrics: Metrics) -> None:
    batcher = VisionBatcher(EagerRunner(model), max_views=MAX_VIEWS, metrics=metrics)
    busy = await pause(model, batcher)
    closing = asyncio.create_task(asyncio.to_thread(batcher.close))
    model.go.set()
    assert isinstance(await busy, Tensor)
    await closing
    with pytest.raises(RuntimeError):
        await batcher.encode(build_image_views(1), SHAPE)


async def test_images_with_different_numbers_of_views_are_merged_separately(
    metrics: Metrics,
) -> None:
    vision = replace(VISION, patch_merge="spatial_unpad")
    grids = ImageConfig(16, "anyres", CLIP_MEAN, CLIP_STD, pinpoints(16))
    model = VisionModel(vision, grids)
    model.load_state_dict(build_random_weights(model))
    # All images but the last have more views than the limit.
    batcher = VisionBatcher(EagerRunner(model.eval()), max_views=2, metrics=metrics)
    images = [
        (build_image_views(1, 5), (64, 48)),
        (build_image_views(2, 4), (90, 30)),
        (build_image_views(3, 1), (64, 48)),
    ]
    merged = await asyncio.gather(*(batcher.encode(*each) for each in images))
    batcher.close()
    assert [len(image_embeds) for image_embeds in merged] == [16 + 6 * 9, 16 + 4 * 13, 16 + 1]
    for image_embeds, (pixels, shape) in zip(merged, images, strict=True):
        expected = model.merge(model(torch.from_numpy(pixels.copy())), shape)
        torch.testing.assert_close(image_embeds, expected, rtol=1e-4, atol=1e-4)
