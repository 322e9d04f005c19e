"""Towers and projectors of LLaVA's family equal transformers', in float32."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llava_spec.anyres import select_best_resolution
from server.checkpoint.config import CheckpointError, read_checkpoint
from server.images.vision.image_tokens import count_image_tokens
from server.images.vision.weights import load_vision_model
from tests.server.family import (
    SIZE,
    FamilyCheckpoint,
    write_bakllava,
    write_llama_3_next,
    write_llava_llama_3,
    write_vip_llava,
)
from tests.server.images.vision.small_model import build_views
from tests.server.images.vision.test_tower import normalize

CPU = torch.device("cpu")
Write = Callable[..., FamilyCheckpoint]


@pytest.mark.parametrize(
    ("write", "changes"),
    [
        (write_vip_llava, {}),
        (write_vip_llava, {"vision_feature_layers": -2}),
        (write_vip_llava, {"vision_feature_layers": [0, 12, -1, 3]}),
        (write_vip_llava, {"projector_layernorm_eps": 0.5}),
        (write_bakllava, {}),
        (write_bakllava, {"vision_feature_layer": [-2]}),
        (write_bakllava, {"vision_feature_layer": [-2, -5, 0, -2]}),
        (
            write_bakllava,
            {"vision_feature_layer": [6, -1], "vision_feature_select_strategy": "full"},
        ),
        (write_llava_llama_3, {}),
    ],
)
def test_image_embeds_equal_transformers(
    write: Write, changes: dict[str, Any], tmp_path: Path
) -> None:
    written = write(tmp_path, **changes)
    checkpoint = read_checkpoint(written.path)
    model = load_vision_model(checkpoint, CPU, torch.float32)
    views = build_views(3, size=SIZE)
    config = written.model.config
    layers = getattr(config, "vision_feature_layers", None)
    names = (
        {"vision_feature_layers": layers}
        if layers is not None
        else {"vision_feature_layer": config.vision_feature_layer}
    )
    with torch.inference_mode():
        output = written.model.get_image_features(normalize(views), **names)
        expected = torch.stack(tuple(output.pooler_output))
        image_embeds = model(views)
    torch.testing.assert_close(image_embeds, expected, rtol=1e-4, atol=1e-4)
    assert len(image_embeds[0]) == checkpoint.vision.num_image_tokens
    assert expected.std() > 0.1


@pytest.mark.parametrize("layers", [-2, [-2, 3]], ids=str)
@pytest.mark.parametrize("image_size", [(100, 60), (56, 112), (31, 200)])
def test_llama_3_next_merges_views_as_transformers(
    layers: int | list[int], image_size: tuple[int, int], tmp_path: Path
) -> None:
    written = write_llama_3_next(tmp_path, vision_feature_layer=layers)
    checkpoint = read_checkpoint(written.path)
    model = load_vision_model(checkpoint, CPU, torch.float32)
    width, height = select_best_resolution(image_size, checkpoint.image.grid_pinpoints)
    views = build_views(1 + width * height // SIZE**2, size=SIZE)
    size = torch.tensor([image_size[::-1]])
    with torch.inference_mode():
        expected = written.model.get_image_features(
            normalize(views)[None], size, vision_feature_layer=layers
        ).pooler_output[0]
        merged = model.merge(model(views), image_size)
    torch.testing.assert_close(merged, expected, rtol=1e-4, atol=1e-4)
    assert len(merged) == count_image_tokens(image_size, checkpoint.vision, checkpoint.image)


def test_a_missing_layer_norm_is_named(tmp_path: Path) -> None:
    written = write_bakllava(tmp_path, model_type="llava", vision_feature_layer=[-2, -5])
    config = (written.path / "config.json").read_text().replace('"llava"', '"vipllava"')
    config = config.replace('"vision_feature_layer"', '"vision_feature_layers"')
    (written.path / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=r"lacks .*projector_layernorm\.bias"):
        load_vision_model(read_checkpoint(written.path), CPU)
