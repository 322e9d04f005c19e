"""Batching over requests, with a real tower that can be held up."""

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
from server.images.vision.tower import VisionModel
from server.telemetry.metrics import Metrics
from tests.server.images.vision.small import IMAGE, VISION, random_weights, small_model, views
from tests.server.released import pinpoints
from tests.server.samples import sample, stage_count

MAX_VIEWS = 4
SHAPE = (640, 480)


class HeldModel(VisionModel):
    """The model itself, which notes the size of each batch and computes when it is let."""

    def __init__(self) -> None:
        super().__init__(VISION, IMAGE)
        self.load_state_dict(random_weights(self))
        self.begun = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self.batches: list[int] = []

    def forward(self, views: Tensor) -> Tensor:
        """Compute once `go` is set."""
        self.batches.append(len(views))
        self.begun.set()
        assert self.go.wait(20)
        image_embeds: Tensor = super().forward(views)
        return image_embeds


@pytest.fixture
def model() -> HeldModel:
    """Return a model that runs freely at first."""
    return HeldModel()


@pytest.fixture
def batcher(model: HeldModel, metrics: Metrics) -> Iterator[VisionBatcher]:
    """Return a batcher of at most four views over the model."""
    batcher = VisionBatcher(model, max_views=MAX_VIEWS, metrics=metrics)
    yield batcher
    model.go.set()
    batcher.close()


def image(seed: int = 0, count: int = 1, size: int = VISION.image_size) -> npt.NDArray[np.uint8]:
    """Return the views of one image, as a decode worker hands them over."""
    pixels: npt.NDArray[np.uint8] = views(count, seed, size).numpy()
    pixels.setflags(write=False)
    return pixels


async def hold(model: HeldModel, batcher: VisionBatcher) -> asyncio.Task[Tensor]:
    """Have the tower busy with an image of its own until `go` is set."""
    model.go.clear()
    busy = asyncio.create_task(batcher.encode(image(999), SHAPE))
    await asyncio.to_thread(model.begun.wait)
    return busy


async def queued(
    batcher: VisionBatcher, *images: npt.NDArray[np.uint8]
) -> list[asyncio.Task[Tensor]]:
    """Have images wait for the tower."""
    tasks = [asyncio.create_task(batcher.encode(each, SHAPE)) for each in images]
    await asyncio.sleep(0)
    return tasks


async def test_one_image(batcher: VisionBatcher, model: HeldModel, metrics: Metrics) -> None:
    image_embeds = await batcher.encode(image(1), SHAPE)
    expected = model(torch.from_numpy(image(1).copy()))
    assert image_embeds.shape == (VISION.num_image_tokens, VISION.text_hidden_size)
    torch.testing.assert_close(image_embeds, expected[0])
    assert image_embeds.device.type == "cpu"
    assert not image_embeds.requires_grad
    assert not image_embeds.is_inference()  # or it could not be used outside of inference mode
    assert stage_count(metrics, "encode") == 1
    assert sample(metrics, "vision_batch_size_count") == 1


async def test_several_views_of_one_image_follow_each_other(
    batcher: VisionBatcher, model: HeldModel
) -> None:
    image_embeds = await batcher.encode(image(1, count=3), SHAPE)
    assert image_embeds.shape == (3 * VISION.num_image_tokens, VISION.text_hidden_size)
    expected = model(torch.from_numpy(image(1, count=3).copy()))
    torch.testing.assert_close(image_embeds, expected.flatten(0, 1))


async def test_what_waits_together_runs_together(
    batcher: VisionBatcher, model: HeldModel, metrics: Metrics
) -> None:
    busy = await hold(model, batcher)
    tasks = await queued(batcher, *(image(seed) for seed in range(3)))
    model.go.set()
    together = await asyncio.gather(busy, *tasks)
    assert model.batches == [1, 3]
    assert sample(metrics, "vision_batch_size_sum") == 4
    assert sample(metrics, "vision_batch_size_count") == 2
    for seed, image_embeds in enumerate(together[1:]):
        torch.testing.assert_close(image_embeds, await batcher.encode(image(seed), SHAPE))


async def test_the_view_limit_splits_and_keeps_the_order(
    batcher: VisionBatcher, model: HeldModel
) -> None:
    busy = await hold(model, batcher)
    tasks = await queued(batcher, *(image(seed, count) for seed, count in enumerate([2, 1, 3, 1])))
    model.go.set()
    results = await asyncio.gather(busy, *tasks)
    assert model.batches == [1, 3, 4]
    assert [len(each) // VISION.num_image_tokens for each in results] == [1, 2, 1, 3, 1]


async def test_an_image_of_more_views_than_the_limit_runs_alone(
    batcher: VisionBatcher, model: HeldModel
) -> None:
    busy = await hold(model, batcher)
    tasks = await queued(batcher, image(0), image(1, count=MAX_VIEWS + 2), image(2))
    model.go.set()
    await asyncio.gather(busy, *tasks)
    assert model.batches == [1, 1, MAX_VIEWS + 2, 1]


async def test_those_who_left_are_not_computed(batcher: VisionBatcher, model: HeldModel) -> None:
    busy = await hold(model, batcher)
    tasks = await queued(batcher, *(image(seed) for seed in range(4)))
    for task in (tasks[0], tasks[2]):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    model.go.set()
    await asyncio.gather(busy, tasks[1], tasks[3])
    assert model.batches == [1, 2]
    torch.testing.assert_close(await tasks[3], await batcher.encode(image(3), SHAPE))


async def test_when_all_who_waited_have_left_nothing_runs(
    batcher: VisionBatcher, model: HeldModel
) -> None:
    busy = await hold(model, batcher)
    tasks = await queued(batcher, image(0), image(1))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    model.go.set()
    await busy
    await batcher.encode(image(2), SHAPE)
    assert model.batches == [1, 1]


async def test_one_who_leaves_in_the_middle_of_a_batch_takes_nothing_with_him(
    batcher: VisionBatcher, model: HeldModel, metrics: Metrics
) -> None:
    busy = await hold(model, batcher)
    busy.cancel()
    with pytest.raises(asyncio.CancelledError):
        await busy
    (task,) = await queued(batcher, image(1))
    model.go.set()
    torch.testing.assert_close(await task, await batcher.encode(image(1), SHAPE))
    assert stage_count(metrics, "encode") == 2


@pytest.mark.parametrize(
    "broken",
    [
        image(size=VISION.image_size * 2),  # more patches than positions
        image(size=2),  # smaller than a patch
    ],
)
async def test_an_error_fails_its_batch_and_no_other(
    broken: npt.NDArray[np.uint8], batcher: VisionBatcher, model: HeldModel
) -> None:
    busy = await hold(model, batcher)
    bad = await queued(batcher, broken, broken)
    good = await queued(batcher, *(image(seed) for seed in range(MAX_VIEWS)))
    model.go.set()
    results = await asyncio.gather(busy, *bad, *good, return_exceptions=True)
    failed = [isinstance(result, Exception) for result in results]
    # Two views that fail, and two that share their batch; the rest is left alone.
    assert failed[:3] == [False, True, True]
    assert failed[5:] == [False, False]
    with pytest.raises(RuntimeError):
        await batcher.encode(broken, SHAPE)
    assert isinstance(await batcher.encode(image(7), SHAPE), Tensor)


async def test_results_own_their_storage(batcher: VisionBatcher, model: HeldModel) -> None:
    busy = await hold(model, batcher)
    tasks = await queued(batcher, image(0), image(1, count=2))
    model.go.set()
    await busy
    one, two = await asyncio.gather(*tasks)
    assert one.untyped_storage().nbytes() == one.nbytes
    assert two.untyped_storage().nbytes() == two.nbytes
    assert one.untyped_storage().data_ptr() != two.untyped_storage().data_ptr()


async def test_batching_changes_no_more_than_rounding_in_bfloat16(metrics: Metrics) -> None:
    model = small_model(torch.bfloat16)
    batcher = VisionBatcher(model, max_views=MAX_VIEWS, metrics=metrics)
    together = await asyncio.gather(
        *(batcher.encode(image(seed), SHAPE) for seed in range(MAX_VIEWS))
    )
    assert sample(metrics, "vision_batch_size_count") == 1
    for seed, image_embeds in enumerate(together):
        assert image_embeds.dtype == torch.bfloat16
        alone = await batcher.encode(image(seed), SHAPE)
        error = (image_embeds.float() - alone.float()).norm() / alone.float().norm()
        assert error < 0.02
    batcher.close()


async def test_closing_lets_the_batch_that_runs_finish(model: HeldModel, metrics: Metrics) -> None:
    batcher = VisionBatcher(model, max_views=MAX_VIEWS, metrics=metrics)
    busy = await hold(model, batcher)
    closing = asyncio.create_task(asyncio.to_thread(batcher.close))
    model.go.set()
    assert isinstance(await busy, Tensor)
    await closing
    with pytest.raises(RuntimeError):
        await batcher.encode(image(1), SHAPE)


async def test_images_of_unequal_views_are_merged_apart(metrics: Metrics) -> None:
    vision = replace(VISION, patch_merge="spatial_unpad")
    grids = ImageConfig(16, "anyres", CLIP_MEAN, CLIP_STD, pinpoints(16))
    model = VisionModel(vision, grids)
    model.load_state_dict(random_weights(model))
    batcher = VisionBatcher(model.eval(), max_views=2, metrics=metrics)  # less than any image has
    images = [(image(1, 5), (64, 48)), (image(2, 4), (90, 30)), (image(3, 1), (64, 48))]
    merged = await asyncio.gather(*(batcher.encode(*each) for each in images))
    batcher.close()
    assert [len(rows) for rows in merged] == [16 + 6 * 9, 16 + 4 * 13, 16 + 1]
    for rows, (pixels, shape) in zip(merged, images, strict=True):
        expected = model.merge(model(torch.from_numpy(pixels.copy())), shape)
        torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-4)
