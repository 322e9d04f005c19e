"""Checkpoints whose tower sees an image at several scales (S2)."""

from pathlib import Path
from typing import Any

import pytest

from server.checkpoint.config import CheckpointError, read_checkpoint
from tests.server.checkpoint.checkpoint_files import (
    LLAVA_1_5,
    build_llava_1_5_config,
    build_llava_next_config,
    write_checkpoint_files,
)


@pytest.mark.parametrize(
    ("changes", "scales"),
    [
        ({"s2": True}, (336, 672, 1008)),
        ({"s2": True, "s2_scales": "672,336"}, (336, 672)),
        ({"s2": True, "s2_scales": [336, 1008]}, (336, 1008)),
        ({"s2": False, "s2_scales": "336,672,1008"}, ()),
    ],
)
def test_scales(changes: dict[str, Any], scales: tuple[int, ...], tmp_path: Path) -> None:
    config = build_llava_1_5_config(**changes)
    checkpoint = read_checkpoint(write_checkpoint_files(tmp_path, config=config))
    assert checkpoint.vision.s2_scales == scales
    assert checkpoint.vision.feature_size == 1024 * max(1, len(scales))
    assert checkpoint.image.size == max((336, *scales))
    assert checkpoint.vision.image_size == 336
    assert checkpoint.max_image_tokens == 576


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"s2_scales": "336,672.5"}, "s2_scales '336,672.5' is not a list of sizes"),
        ({"s2_scales": 336}, "s2_scales 336 is not a list of sizes"),
        ({"s2_scales": "224,448"}, "are not the tower's 336 and multiples of it"),
        ({"s2_scales": "336,500"}, "are not the tower's 336 and multiples of it"),
        ({"vision_feature_select_strategy": "full"}, "s2 is supported for single views"),
        (
            {"image_aspect_ratio": "anyres", "image_grid_pinpoints": [[336, 672]]},
            "s2 is supported for single views",
        ),
        (
            {"vision_config": {**LLAVA_1_5["vision_config"], "model_type": "siglip_vision_model"}},
            "s2 is supported for single views of a CLIP tower",
        ),
    ],
)
def test_what_is_not_supported(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    config = build_llava_1_5_config(s2=True, **changes)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(write_checkpoint_files(tmp_path, config=config))


def test_tiles_have_one_scale(tmp_path: Path) -> None:
    config = build_llava_next_config(s2=True)
    with pytest.raises(CheckpointError, match="s2 is supported for single views"):
        read_checkpoint(write_checkpoint_files(tmp_path, config=config))
