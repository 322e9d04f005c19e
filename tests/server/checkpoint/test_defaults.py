"""What a configuration leaves out is what transformers' classes assume."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    CLIPVisionConfig,
    SiglipVisionConfig,
)
from transformers.activations import ACT2FN

from server.checkpoint.config import CheckpointError, read_checkpoint
from server.checkpoint.defaults import CLIP, MODELS, SIGLIP, TEXT, fill_defaults
from server.checkpoint.normalisation import read_normalisation
from server.checkpoint.vision import ACTIVATIONS
from server.images.vision.encoder import build_activation
from tests.server.checkpoint.checkpoint_files import build_llava_1_5_config, write_checkpoint_files


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize("empty", [{}, {"vision_config": None, "text_config": None}], ids=str)
def test_of_a_model(model_type: str, empty: dict[str, Any]) -> None:
    expected = AutoConfig.for_model(model_type).to_dict()
    filled = fill_defaults({"model_type": model_type, **empty})
    for part in ("vision_config", "text_config"):
        inner, theirs = filled.pop(part), expected[part]
        for name in inner.keys() & theirs.keys() - {"max_position_embeddings"}:
            assert inner[name] == theirs[name], name
    assert filled == {name: expected[name] for name in filled}


@pytest.mark.parametrize(
    ("table", "kind"), [(CLIP, CLIPVisionConfig), (SIGLIP, SiglipVisionConfig)]
)
def test_of_a_tower(table: dict[str, Any], kind: Any) -> None:
    expected = kind().to_dict()
    assert table == {name: expected[name] for name in table}


@pytest.mark.parametrize("kind", TEXT)
def test_of_a_language_model(kind: str) -> None:
    expected = AutoConfig.for_model(kind).to_dict()
    assert TEXT[kind] == {name: expected[name] for name in TEXT[kind]}


@pytest.mark.parametrize("name", ["image_grid_pinpoints", "vision_feature_layer"])
def test_null_is_the_default(name: str) -> None:
    filled = fill_defaults({"model_type": "llava_next", name: None})
    assert filled[name] == MODELS["llava_next"][name]


@pytest.mark.parametrize(
    ("model_type", "tower", "processor"),
    [
        ("llava", "clip_vision_model", "CLIPImageProcessor"),
        ("llava", "siglip_vision_model", "SiglipImageProcessor"),
        ("llava_next", "clip_vision_model", "LlavaNextImageProcessor"),
        ("llava_onevision", "siglip_vision_model", "LlavaOnevisionImageProcessor"),
    ],
)
def test_of_an_image_processor(model_type: str, tower: str, processor: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(f'{{"image_processor_type": "{processor}"}}')
    expected = AutoImageProcessor.from_pretrained(tmp_path)
    config = {"model_type": model_type, "vision_config": {"model_type": tower}}
    mean, std = read_normalisation(config, {})
    assert mean == tuple(expected.image_mean)
    assert std == tuple(expected.image_std)
    assert read_normalisation(config, {"image_mean": 0.25})[0] == (0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"do_normalize": False}, "do_normalize false"),
        ({"do_rescale": False}, "do_rescale false"),
        ({"rescale_factor": 1.0}, "rescale_factor 1.0"),
        ({"image_mean": [0.5]}, "image_mean"),
        ({"image_std": "0.5"}, "image_std"),
    ],
    ids=str,
)
def test_other_pixels_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_checkpoint_files(tmp_path, preprocessor_config=changes)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    values = torch.linspace(-4, 4, 50)
    torch.testing.assert_close(build_activation(name)(values), ACT2FN[name](values))


def test_another_activation_is_named_with_its_key(tmp_path: Path) -> None:
    config = build_llava_1_5_config(projector_hidden_act="gelu_10")
    with pytest.raises(CheckpointError, match="projector_hidden_act 'gelu_10' is not one of"):
        read_checkpoint(write_checkpoint_files(tmp_path, config=config))
