"""A converted LLaVA-OneVision is transformers' own class and computes what the release does."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    LlavaOnevisionForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from model_store.convert.conversion import plan_conversion
from model_store.errors import ConversionError
from tests.model_store.convert import reference
from tests.model_store.convert.conversion import convert
from tests.model_store.convert.test_parity import load, pixels
from tests.model_store.released import WrittenRelease
from tests.model_store.released_onevision import (
    SIZE,
    TEXT,
    TOWER,
    VISION_LAYERS,
    VOCAB,
    write_onevision,
)


def released_features(released: WrittenRelease, pixel_values: torch.Tensor) -> torch.Tensor:
    """Return the projected features of the release's tower, which lacks the last layer."""
    tower = SiglipVisionModel(
        SiglipVisionConfig(**{**TOWER, "num_hidden_layers": VISION_LAYERS - 1})
    )
    prefixed = next(iter(tower.state_dict())).startswith("vision_model.")
    tensors = {
        name if prefixed else name.removeprefix("vision_model."): tensor.float()
        for name, tensor in released.tower_tensors.items()
    }
    assert not tower.load_state_dict(tensors, strict=False).unexpected_keys
    with torch.inference_mode():
        states = tower.eval()(pixel_values, output_hidden_states=True).hidden_states
    return reference.project(states[-1], released.own_tensors)


@pytest.mark.parametrize("is_tied", [True, False])
def test_features_and_logits_are_the_releases(tmp_path: Path, is_tied: bool) -> None:
    released = write_onevision(tmp_path / "r", tie_word_embeddings=is_tied)
    converted = convert(released, tmp_path / "out", dtype="float32")
    assert ("language_model.lm_head.weight" in converted.tensors) is not is_tied
    model = load(LlavaOnevisionForConditionalGeneration, converted.path)
    pixel_values = pixels(2, SIZE)  # a base view and one tile
    with torch.inference_mode():
        found = model.model.get_image_features(
            pixel_values[None], torch.tensor([[SIZE, SIZE]]), batch_num_images=torch.tensor([1])
        ).pooler_output[0]
    base, tile = released_features(released, pixel_values)
    newline = released.own_tensors["model.image_newline"].float()
    grid = torch.cat([tile.unflatten(0, (2, 2)), newline.expand(2, 1, -1)], dim=1)
    expected = torch.cat([base, grid.flatten(0, 1)])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)

    language = Qwen2ForCausalLM(Qwen2Config(**{**TEXT, "tie_word_embeddings": is_tied}))
    tensors = {name: tensor.float() for name, tensor in released.base_tensors.items()}
    language.load_state_dict(tensors, strict=not is_tied)
    token_ids = torch.tensor([[5, 300, 301, 2]])
    with torch.inference_mode():
        logits = language.eval()(token_ids).logits
        torch.testing.assert_close(model(token_ids).logits, logits, atol=2e-4, rtol=1e-4)


def test_the_files_are_those_of_llava_hf(tmp_path: Path) -> None:
    converted = convert(write_onevision(tmp_path / "r"), tmp_path / "out")
    config = converted.config
    assert (config["model_type"], config["conv_mode"]) == ("llava_onevision", "qwen_1_5")
    assert config["architectures"] == ["LlavaOnevisionForConditionalGeneration"]
    assert config["vision_aspect_ratio"] == "anyres_max_9"
    assert (config["vision_feature_layer"], config["vision_feature_select_strategy"]) == (
        -1,
        "full",
    )
    assert config["vision_config"]["num_hidden_layers"] == VISION_LAYERS - 1
    assert config["vision_config"]["vision_use_head"] is False
    assert config["tie_word_embeddings"] is config["text_config"]["tie_word_embeddings"] is True
    assert config["text_config"]["vocab_size"] == VOCAB
    assert len(config["image_grid_pinpoints"]) == 36
    tokens = [converted.tokenizer.token_to_id(token) for token in ("<image>", "<video>")]
    assert [config["image_token_index"], config["video_token_index"]] == tokens
    processor = converted.json("preprocessor_config.json")
    assert (processor["image_mean"], processor["image_std"]) == ([0.5] * 3, [0.5] * 3)
    assert processor["size"] == {"height": SIZE, "width": SIZE}
    assert converted.json("processor_config.json")["num_image_tokens"] == (SIZE // 14) ** 2
    assert converted.json("tokenizer_config.json")["bos_token"] is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"image_aspect_ratio": "anyres_max_0"},
            "supported: square, pad, anyres, anyres_max_N with N",
        ),
        (
            {"image_aspect_ratio": "anyres_max_"},
            "'anyres_max_' is not supported; supported: square",
        ),
        ({"image_aspect_ratio": "pad"}, "image_aspect_ratio 'pad' are not supported"),
        ({"image_aspect_ratio": "anyres"}, "image_aspect_ratio 'anyres' are not supported"),
        ({"mm_patch_merge_type": "flat"}, "mm_patch_merge_type 'flat' is not supported"),
        ({"mm_newline_position": "grid"}, "mm_newline_position 'grid' is not supported"),
        ({"image_grid_pinpoints": "(0x1),...,(6x6)"}, "image_grid_pinpoints"),
    ],
)
def test_other_models_of_the_class_are_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    released = write_onevision(tmp_path / "r", **changes)
    with pytest.raises(ConversionError, match=reason):
        plan_conversion(released.path, released.tower, None, None, None)
