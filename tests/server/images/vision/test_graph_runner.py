"""The runner with padded batches, on a CPU without graphs, against the eager one."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from server.checkpoint.video import VideoConfig
from server.images.vision.captured_forward import CapturedForward, choose_sizes
from server.images.vision.graph_runner import GraphRunner
from server.images.vision.runner import EagerRunner
from server.images.vision.tower import VisionModel
from tests.server.images.vision.small_model import (
    IMAGE,
    VISION,
    build_random_weights,
    build_small_model,
    build_views,
)

MAX_VIEWS = 6
SIZE = (640, 480)


@pytest.fixture(scope="module")
def model() -> VisionModel:
    """Return a model that takes videos, too."""
    video = VideoConfig("average", 2, 4, has_newline=False, crop=True, mean=CLIP_MEAN, std=CLIP_STD)
    model = VisionModel(VISION, IMAGE, video)
    model.load_state_dict(build_random_weights(model))
    return model.eval()


def build_items(lengths: Sequence[int], seed: int) -> list[npt.NDArray[np.uint8]]:
    """Return the views of several images, as decode workers return them."""
    items = [build_views(length, seed + number).numpy() for number, length in enumerate(lengths)]
    for item in items:
        item.setflags(write=False)
    return items


@pytest.mark.parametrize("are_frames", [False, True], ids=["images", "frames"])
@pytest.mark.parametrize("lengths", [[1], [2, 1], [1, 1, 3], [6], [1] * 6])
def test_padded_batches_equal_eager_ones(
    lengths: list[int], are_frames: bool, model: VisionModel
) -> None:
    runner, eager = GraphRunner(model, max_views=MAX_VIEWS), EagerRunner(model)

    def finish(index: int, part: Tensor) -> Tensor:
        assert len(part) == lengths[index]
        return model.merge_frames(part) if are_frames else model.merge(part, SIZE)

    kept = []
    for seed in (0, 10):  # the second batch overwrites the buffers of the first
        items = build_items(lengths, seed)
        results = runner.run(items, finish, are_frames=are_frames)
        expected = eager.run(items, finish, are_frames=are_frames)
        kept.append((results, expected))
    for results, expected in kept:
        for result, other in zip(results, expected, strict=True):
            torch.testing.assert_close(result, other)
            assert not result.is_inference()
            assert result.untyped_storage().nbytes() == result.nbytes  # its own memory


def test_a_model_without_video_takes_no_frames() -> None:
    runner = GraphRunner(build_small_model(), max_views=2)
    with pytest.raises(TypeError, match="does not support video"):
        runner.run(build_items([1], 0), lambda _, part: part, are_frames=True)


@pytest.mark.parametrize(
    ("max_views", "sizes"),
    [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (16, [1, 2, 4, 8, 16]), (17, [1, 2, 4, 8, 16, 17])],
)
def test_sizes_are_powers_of_two_and_the_most(max_views: int, sizes: list[int]) -> None:
    assert choose_sizes(max_views) == sizes


def test_a_forward_pass_runs_padded() -> None:
    seen = []

    def forward(views: Tensor) -> Tensor:
        seen.append(len(views))
        return views * 2

    views = torch.arange(8)
    captured = CapturedForward(forward, views)
    seen.clear()
    torch.testing.assert_close(captured(3), torch.tensor([0, 2, 4]))
    views += 1
    torch.testing.assert_close(captured(5), torch.tensor([2, 4, 6, 8, 10]))
    assert seen == [4, 8]
