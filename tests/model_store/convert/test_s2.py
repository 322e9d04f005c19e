"""Releases with an S2 tower: the projector takes the features of several scales."""

from pathlib import Path

import pytest
import torch

from model_store.convert.conversion import plan_conversion
from model_store.errors import ConversionError
from server.checkpoint.config import read_checkpoint
from server.images.vision.s2 import extract_multiscale_features
from server.images.vision.weights import load_vision_model
from tests.model_store.convert import reference
from tests.model_store.convert.conversion import convert
from tests.model_store.released import write_released
from tests.model_store.released_config import VISION_HIDDEN
from tests.server.images.vision.small_model import build_views
from tests.server.images.vision.test_tower import normalize

SCALES = (28, 56, 84)
OVERRIDES = {"s2": True, "s2_scales": "28,84,56", "mm_hidden_size": 3 * VISION_HIDDEN}


def test_a_release_is_converted_and_loaded(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r", overrides=OVERRIDES)
    converted = convert(released, tmp_path / "out", dtype="float32")
    assert converted.config["s2"] is True
    assert converted.config["s2_scales"] == "28,56,84"
    checkpoint = read_checkpoint(converted.path)
    model = load_vision_model(checkpoint, torch.device("cpu"))
    views = build_views(2, size=84)
    with torch.inference_mode():
        features = extract_multiscale_features(
            lambda pixels: reference.image_features(released, pixels, released.tower_tensors),
            normalize(views),
            SCALES,
        )
        expected = reference.project(features, released.own_tensors)
        torch.testing.assert_close(model(views), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mm_hidden_size": VISION_HIDDEN}, f"has one of {3 * VISION_HIDDEN}"),
        ({"s2_scales": "28,50"}, "are not the tower's 28 and multiples of it"),
        ({"s2_scales": "28,x"}, "s2_scales '28,x' is not a list of sizes"),
        ({"mm_vision_select_feature": "cls_patch"}, "s2 is supported for single views"),
        (
            {"image_aspect_ratio": "anyres", "image_grid_pinpoints": [[28, 56]]},
            "s2 is supported for single views",
        ),
    ],
)
def test_what_is_not_supported(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    released = write_released(tmp_path / "r", overrides=OVERRIDES | changes)
    with pytest.raises(ConversionError, match=message):
        plan_conversion(released.path, released.tower, None, None, None)
