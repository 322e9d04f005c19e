"""S2 towers: features of several scales, against the definition restated tile by tile."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from server.checkpoint.vision import ImageConfig
from server.images.vision.s2 import extract_multiscale_features
from server.images.vision.tower import VisionModel
from tests.server.images.vision.small_model import (
    IMAGE,
    VISION,
    build_random_weights,
    build_views,
)
from tests.server.images.vision.test_tower import normalize

SIZE = VISION.image_size
SCALES = (SIZE, 2 * SIZE, 3 * SIZE)


def build_model(scales: tuple[int, ...] = SCALES) -> VisionModel:
    """Return a model with random weights whose projector takes the features of all scales."""
    vision = replace(VISION, s2_scales=scales)
    image = ImageConfig(scales[-1], "pad", IMAGE.mean, IMAGE.std)
    model = VisionModel(vision, image).eval()
    model.load_state_dict(build_random_weights(model))
    return model


def cubic_weight(distance: float) -> float:
    """Return the weight of Keys' cubic kernel, with a = -0.75 as in PyTorch."""
    x, a = abs(distance), -0.75
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def resize_side(length: int, target: int) -> Tensor:
    """Return the matrix (target, length) that resizes a side, without antialiasing."""
    matrix = np.zeros((target, length))
    for out in range(target):
        center = (out + 0.5) * length / target - 0.5
        first = int(np.floor(center)) - 1
        for source in range(first, first + 4):
            inside = min(max(source, 0), length - 1)
            matrix[out, inside] += cubic_weight(center - source)
    return torch.from_numpy(matrix).float()


def extract_expected(model: VisionModel, pixel_values: Tensor) -> Tensor:
    """Return the features of each view, tile by tile and square by square."""
    side, views = VISION.patches_per_side, []
    for view in pixel_values:
        scales = []
        for rows, scale in enumerate(SCALES, 1):
            matrix = resize_side(view.shape[-1], scale)
            resized = matrix @ view @ matrix.T
            grid = torch.zeros(rows * side, rows * side, VISION.hidden_size)
            for top in range(rows):
                for left in range(rows):
                    tile = resized[
                        :, top * SIZE : (top + 1) * SIZE, left * SIZE : (left + 1) * SIZE
                    ]
                    features = model.vision_tower(tile[None])[0].unflatten(0, (side, side))
                    grid[top * side :, left * side :][:side, :side] = features
            pooled = [
                grid[y * rows : (y + 1) * rows, x * rows : (x + 1) * rows].mean((0, 1))
                for y in range(side)
                for x in range(side)
            ]
            scales.append(torch.stack(pooled))
        views.append(torch.cat(scales, dim=-1))
    return torch.stack(views)


@torch.inference_mode()
def test_features_follow_the_definition() -> None:
    model = build_model()
    pixel_values = normalize(build_views(2, size=SCALES[-1]))
    found = extract_multiscale_features(model.vision_tower, pixel_values, SCALES)
    assert found.shape == (2, VISION.num_image_tokens, 3 * VISION.hidden_size)
    torch.testing.assert_close(found, extract_expected(model, pixel_values), rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_the_model_projects_them() -> None:
    model = build_model()
    views = build_views(3, size=SCALES[-1])
    image_embeds = model(views)
    assert image_embeds.shape == (3, VISION.num_image_tokens, VISION.text_hidden_size)
    features = extract_expected(model, normalize(views))
    expected = model.multi_modal_projector(features)
    torch.testing.assert_close(image_embeds, expected, rtol=1e-4, atol=1e-4)
    merged = model.merge(image_embeds[:1], (50, 40))
    assert len(merged) == VISION.num_image_tokens


@torch.inference_mode()
def test_one_scale_is_the_tower_itself() -> None:
    model = build_model((SIZE,))
    pixel_values = normalize(build_views(2))
    found = extract_multiscale_features(model.vision_tower, pixel_values, (SIZE,))
    torch.testing.assert_close(found, model.vision_tower(pixel_values))


@torch.inference_mode()
@pytest.mark.parametrize("views", [1, 4])
def test_the_tower_takes_as_many_tiles_at_once_as_there_are_views(views: int) -> None:
    model, batches = build_model(), []

    def tower(pixel_values: Tensor) -> Tensor:
        batches.append(len(pixel_values))
        features: Tensor = model.vision_tower(pixel_values)
        return features

    extract_multiscale_features(tower, normalize(build_views(views, size=SCALES[-1])), SCALES)
    assert batches == [views] * (1 + 4 + 9)
