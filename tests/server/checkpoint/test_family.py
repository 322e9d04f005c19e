"""Configurations of LLaVA's family as published, in full size."""

from pathlib import Path
from typing import Any

import pytest

from server.checkpoint.config import Checkpoint, CheckpointError, read_checkpoint
from tests.server.checkpoint.checkpoint_files import (
    LLAVA_1_5,
    LLAVA_1_6,
    build_llava_1_5_config,
    write_checkpoint_files,
)

# As llava-hf/vip-llava-7b-hf has it: neither one feature layer nor a strategy.
VIP_LLAVA = build_llava_1_5_config(
    architectures=["VipLlavaForConditionalGeneration"],
    model_type="vipllava",
    projector_layernorm_eps=1e-05,
    vision_feature_layer=...,
    vision_feature_layers=[-2, -5, -8, -11, 6],
    vision_feature_select_strategy=...,
)
BAKLLAVA = build_llava_1_5_config(
    text_config={
        "_name_or_path": "mistralai/Mistral-7B-v0.1",
        "architectures": ["MistralForCausalLM"],
        "intermediate_size": 14336,
        "max_position_embeddings": 32768,
        "model_type": "mistral",
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-05,
        "sliding_window": 4096,
        "torch_dtype": "bfloat16",
        "vocab_size": 32064,
    },
    torch_dtype="float32",
)
LLAMA_3: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "bos_token_id": 128000,
    "eos_token_id": 128001,
    "intermediate_size": 14336,
    "max_position_embeddings": 8192,
    "model_type": "llama",
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_theta": 500000.0,
    "torch_dtype": "float16",
    "vocab_size": 128320,
}
# xtuner/llava-llama-3-8b-v1_1-transformers
XTUNER = build_llava_1_5_config(
    image_token_index=128257, pad_token_id=128258, text_config=LLAMA_3, vocab_size=...
)
# llava-hf/llama3-llava-next-8b-hf
LLAMA_3_NEXT = LLAVA_1_6 | {"image_token_index": 128256, "text_config": LLAMA_3}


def read(folder: Path, config: dict[str, Any]) -> Checkpoint:
    return read_checkpoint(write_checkpoint_files(folder, config=config))


def test_vip_llava(tmp_path: Path) -> None:
    checkpoint = read(tmp_path, VIP_LLAVA)
    vision = checkpoint.vision
    assert (vision.feature_layers, vision.num_layers) == ((23, 20, 17, 14, 6), 23)
    assert (vision.feature_size, vision.projector_layernorm_eps) == (5120, 1e-5)
    assert (vision.num_image_tokens, checkpoint.image.aspect_ratio) == (576, "pad")
    assert read(tmp_path, {**VIP_LLAVA, "vision_feature_layers": -2}).vision.feature_size == 1024


def test_vip_llavas_defaults_are_those_of_transformers(tmp_path: Path) -> None:
    left_out = ("vision_feature_layers", "projector_layernorm_eps")
    short = {key: value for key, value in VIP_LLAVA.items() if key not in left_out}
    assert read(tmp_path, short).vision == read(tmp_path, VIP_LLAVA).vision


def test_a_list_of_vip_llava_is_checked(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"vision_feature_layers \[-2, 25\]"):
        read(tmp_path, {**VIP_LLAVA, "vision_feature_layers": [-2, 25]})


def test_bakllava(tmp_path: Path) -> None:
    checkpoint = read(tmp_path, BAKLLAVA)
    assert (checkpoint.text.language_model, checkpoint.dtype) == ("mistral", "float32")
    assert checkpoint.text.max_position_embeddings == 32768
    assert checkpoint.language_model.num_key_value_heads == 8
    assert (checkpoint.max_image_tokens, checkpoint.image.aspect_ratio) == (576, "pad")


def test_llama_3(tmp_path: Path) -> None:
    checkpoint = read(tmp_path, XTUNER)
    assert (checkpoint.text.image_token_id, checkpoint.text.max_position_embeddings) == (
        128257,
        8192,
    )
    assert checkpoint.language_model.vocab_size == 128320
    assert checkpoint.max_image_tokens == 576
    assert read(tmp_path, LLAMA_3_NEXT).max_image_tokens == 5 * 576 + 5 * 24


def test_the_projector_is_the_same_without_vip_llavas_layer_norm(tmp_path: Path) -> None:
    assert read(tmp_path, LLAVA_1_5).vision.projector_layernorm_eps is None
