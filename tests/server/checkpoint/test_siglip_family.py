"""Configurations of LLaVA-OneVision and Interleave as published, in full size."""

from pathlib import Path
from typing import Any

import pytest

from server.checkpoint.config import Checkpoint, CheckpointError, read_checkpoint
from server.checkpoint.language_model import LanguageModel
from server.images.vision.image_tokens import count_image_tokens
from tests.server.checkpoint.checkpoint_files import write_checkpoint_files

SO400M: dict[str, Any] = {
    "hidden_size": 1152,
    "image_size": 384,
    "intermediate_size": 4304,
    "model_type": "siglip_vision_model",
    "num_attention_heads": 16,
    "num_hidden_layers": 26,
    "patch_size": 14,
    "vision_use_head": False,
}
PINPOINTS = [[384 * rows, 384 * columns] for rows in range(1, 7) for columns in range(1, 7)]
# As llava-hf/llava-onevision-qwen2-0.5b-ov-hf has it; what equals a default is left out.
ONEVISION: dict[str, Any] = {
    "architectures": ["LlavaOnevisionForConditionalGeneration"],
    "ignore_index": -100,
    "image_grid_pinpoints": PINPOINTS,
    "image_token_index": 151646,
    "model_type": "llava_onevision",
    "projector_hidden_act": "gelu",
    "text_config": {
        "architectures": ["Qwen2ForCausalLM"],
        "hidden_size": 896,
        "intermediate_size": 4864,
        "max_window_layers": 24,
        "model_type": "qwen2",
        "num_attention_heads": 14,
        "num_hidden_layers": 24,
        "num_key_value_heads": 2,
        "rope_theta": 1000000.0,
        "sliding_window": 131072,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "vocab_size": 152000,
    },
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
    "use_image_newline_parameter": True,
    "video_token_index": 151647,
    "vision_aspect_ratio": "anyres_max_9",
    "vision_config": SO400M,
    "vision_feature_layer": -1,
    "vision_feature_select_strategy": "full",
}
# As llava-hf/llava-interleave-qwen-0.5b-hf.
INTERLEAVE: dict[str, Any] = {
    "architectures": ["LlavaForConditionalGeneration"],
    "ignore_index": -100,
    "image_token_index": 151646,
    "model_type": "llava",
    "projector_hidden_act": "gelu",
    "text_config": {
        "architectures": ["Qwen2ForCausalLM"],
        "hidden_size": 1024,
        "intermediate_size": 2816,
        "max_window_layers": 21,
        "model_type": "qwen2",
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "num_key_value_heads": 16,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "vocab_size": 152000,
    },
    "torch_dtype": "float16",
    "vision_config": SO400M,
    "vision_feature_layer": -1,
    "vision_feature_select_strategy": "full",
}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
SIGLIP = HALF | {"image_processor_type": "SiglipImageProcessor", "do_resize": True}
TOKENIZER = {"bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}


def read(folder: Path, config: dict[str, Any], processor: dict[str, Any] = SIGLIP) -> Checkpoint:
    return read_checkpoint(
        write_checkpoint_files(
            folder, config=config, preprocessor_config=processor, tokenizer_config=TOKENIZER
        )
    )


def test_onevision(tmp_path: Path) -> None:
    checkpoint = read(tmp_path, ONEVISION)
    vision, image, text = checkpoint.vision, checkpoint.image, checkpoint.text
    assert (vision.tower, vision.num_layers, vision.hidden_act) == (
        *("siglip", 26),
        "gelu_pytorch_tanh",
    )
    assert (vision.layer_norm_eps, vision.num_image_tokens) == (1e-6, 729)
    assert (vision.text_hidden_size, vision.patch_merge) == (896, "spatial_unpad")
    assert (image.size, image.aspect_ratio, image.max_views) == (384, "anyres", 9)
    assert (len(image.grid_pinpoints), image.pad_color) == (36, (127, 127, 127))
    assert (text.max_position_embeddings, text.image_token_id, text.bos_token) == (
        *(32768, 151646),
        None,
    )
    assert checkpoint.language_model == LanguageModel(14, 2, 4864, 152000, None, 24, 64)
    # 162 rows of 49 patches and a newline: with one more each they would be scaled down.
    assert checkpoint.max_image_tokens == 729 + (49 + 1) * 162
    assert count_image_tokens((1148, 1402), vision, image) == 8765


def test_interleave(tmp_path: Path) -> None:
    checkpoint = read(tmp_path, INTERLEAVE)
    image, text = checkpoint.image, checkpoint.text
    assert (image.aspect_ratio, image.mean, image.std) == ("stretch", (0.5,) * 3, (0.5,) * 3)
    assert (checkpoint.max_image_tokens, checkpoint.vision.has_image_newline) == (729, False)
    assert (text.language_model, text.max_position_embeddings) == ("qwen2", 32768)


def test_onevisions_defaults_are_those_of_transformers(tmp_path: Path) -> None:
    short = {
        "model_type": "llava_onevision",
        "text_config": {**ONEVISION["text_config"], "model_type": "qwen2"},
        "torch_dtype": "float16",
        "vision_config": {key: each for key, each in SO400M.items() if key != "model_type"},
    }
    assert read(tmp_path, short) == read(tmp_path, ONEVISION)


def test_the_image_token_has_two_names(tmp_path: Path) -> None:
    config = {key: each for key, each in INTERLEAVE.items() if key != "image_token_index"}
    assert read(tmp_path, config | {"image_token_id": 7}).text.image_token_id == 7


def test_qwen2_needs_no_bos(tmp_path: Path) -> None:
    folder = write_checkpoint_files(
        tmp_path, config=INTERLEAVE, tokenizer_config={"eos_token": "<|im_end|>"}
    )
    assert read_checkpoint(folder).text.bos_token is None


@pytest.mark.parametrize(
    ("config", "processor", "aspect_ratio"),
    [
        ({}, {}, "stretch"),
        ({}, {"do_pad": True}, "pad"),
        ({}, {"do_center_crop": True}, "square"),
        ({"image_aspect_ratio": "square"}, {}, "stretch"),
        ({"image_aspect_ratio": "pad"}, {}, "pad"),
    ],
    ids=str,
)
def test_siglips_processor_decides(
    config: dict[str, Any], processor: dict[str, Any], aspect_ratio: str, tmp_path: Path
) -> None:
    image = read(tmp_path, INTERLEAVE | config, processor).image
    assert (image.aspect_ratio, image.mean) == (aspect_ratio, (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vision_aspect_ratio": "anyres"}, "vision_aspect_ratio 'anyres' is not anyres_max_N"),
        ({"vision_aspect_ratio": "anyres_max_0"}, "'anyres_max_0' is not"),
        ({"vision_aspect_ratio": 9}, "vision_aspect_ratio 9 is not"),
        ({"vision_feature_select_strategy": "default"}, "needs all patches"),
        ({"vision_feature_layer": 27}, "which has 26"),
    ],
    ids=str,
)
def test_unsupported_values_are_named(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path, ONEVISION | changes)
