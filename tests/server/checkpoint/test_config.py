"""A checkpoint's configuration from its files, and the configurations that are refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from server.checkpoint.config import Checkpoint, CheckpointError, TextConfig, read_checkpoint
from server.checkpoint.language_model import LanguageModel
from server.checkpoint.vision import ImageConfig, VisionConfig
from tests.server.checkpoint.checkpoint_files import (
    build_llava_1_5_config,
    write_checkpoint_files,
)


def test_a_converted_llava_1_5(tmp_path: Path) -> None:
    assert read_checkpoint(write_checkpoint_files(tmp_path)) == Checkpoint(
        path=tmp_path,
        dtype="float16",
        vision=VisionConfig(
            image_size=336,
            patch_size=14,
            hidden_size=1024,
            intermediate_size=4096,
            num_layers=23,
            num_heads=16,
            hidden_act="quick_gelu",
            layer_norm_eps=1e-5,
            keep_class_token=False,
            projector_hidden_act="gelu",
            text_hidden_size=4096,
            feature_layers=(23,),
        ),
        image=ImageConfig(336, "pad", CLIP_MEAN, CLIP_STD),
        text=TextConfig(
            *(4096, 32000, "<s>", "</s>", None, 1.0, 1.0),
            special_tokens={"bos_token": "<s>", "eos_token": "</s>"},
        ),
        language_model=LanguageModel(32, 32, 11008, 32064, None, 32, 128),
    )


def test_the_embedded_model(checkpoint: Checkpoint) -> None:
    assert checkpoint.dtype == "bfloat16"
    assert checkpoint.image.aspect_ratio == "pad"
    assert checkpoint.text.temperature == 0.0
    assert checkpoint.text.conv_mode == "vicuna_v1"
    assert checkpoint.vision.num_image_tokens == 64


def test_a_cpu_takes_no_float16_unless_told(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_checkpoint_files(tmp_path))
    assert checkpoint.dtype == "float16"
    assert checkpoint.resolve_dtype("auto") == "float16"
    assert checkpoint.resolve_dtype("auto", on_cpu=True) == "bfloat16"
    assert checkpoint.resolve_dtype("half", on_cpu=True) == "float16"
    own = replace(checkpoint, dtype="float32")
    assert own.resolve_dtype("auto", on_cpu=True) == "float32"


@pytest.mark.parametrize(
    ("changes", "dtype"),
    [
        ({"dtype": "bfloat16"}, "bfloat16"),  # transformers 5's word wins
        ({"torch_dtype": "float32"}, "float32"),
        ({"torch_dtype": ...}, "bfloat16"),
    ],
)
def test_dtypes(changes: dict[str, Any], dtype: str, tmp_path: Path) -> None:
    assert (
        read_checkpoint(
            write_checkpoint_files(tmp_path, config=build_llava_1_5_config(**changes))
        ).dtype
        == dtype
    )


@pytest.mark.parametrize(
    ("generation", "temperature", "top_p"),
    [
        (None, 1.0, 1.0),
        ({}, 1.0, 1.0),
        ({"temperature": 0.2, "top_p": 0.7}, 0.2, 0.7),
        ({"do_sample": True, "temperature": 0.2}, 0.2, 1.0),
        ({"do_sample": False}, 0.0, 1.0),
        ({"do_sample": False, "temperature": 0.9, "top_p": 0.6}, 0.0, 0.6),
        ({"temperature": None, "top_p": None}, 1.0, 1.0),
    ],
)
def test_sampling_defaults(
    generation: dict[str, Any] | None, temperature: float, top_p: float, tmp_path: Path
) -> None:
    text = read_checkpoint(write_checkpoint_files(tmp_path, generation_config=generation)).text
    assert (text.temperature, text.top_p) == (temperature, top_p)


def test_template_and_tokens(tmp_path: Path) -> None:
    tokens = {"bos_token": "<b>", "eos_token": "<e>"}
    changed = build_llava_1_5_config(conv_mode="plain", text_config={}, image_token_index=7)
    text = read_checkpoint(
        write_checkpoint_files(tmp_path, config=changed, tokenizer_config=tokens)
    ).text
    assert text == TextConfig(2048, 7, "<b>", "<e>", "plain", 1.0, 1.0, special_tokens=tokens)


@pytest.mark.parametrize("file", ["config", "tokenizer_config"])
def test_missing_and_broken_files_are_named(file: str, tmp_path: Path) -> None:
    write_checkpoint_files(tmp_path, **{file: None})
    with pytest.raises(CheckpointError, match=rf"{file}\.json") as missing:
        read_checkpoint(tmp_path)
    assert str(tmp_path) in str(missing.value)
    write_checkpoint_files(tmp_path, **{file: '{"model_type":'})
    with pytest.raises(CheckpointError, match=rf"{file}\.json is not valid JSON"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("model_type", ["llama", "video_llava", "qwen2_vl", None, ...])
def test_other_models_are_named(model_type: Any, tmp_path: Path) -> None:
    name = None if model_type is ... else model_type
    with pytest.raises(CheckpointError, match=f"type {name!r}, not a LLaVA"):
        read_checkpoint(
            write_checkpoint_files(tmp_path, config=build_llava_1_5_config(model_type=model_type))
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"text_config": {"model_type": "mpt"}},
        {"model_type": "llava_mpt"},
        {"architectures": ["LlavaMptForCausalLM"]},
    ],
)
def test_mpt_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="MPT language models are not supported"):
        read_checkpoint(write_checkpoint_files(tmp_path, config=build_llava_1_5_config(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "llava_llama", "architectures": ["LlavaLlamaForCausalLM"]},
        {"model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"]},  # the first releases
        {"model_type": "llava_mistral", "architectures": ...},
        {"model_type": "share4v", "architectures": ["Share4VLlamaForCausalLM"]},
    ],
)
def test_a_released_layout_names_the_convert_command(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "v1.5 7b"
    folder.mkdir()
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(write_checkpoint_files(folder, config=build_llava_1_5_config(**changes)))
    assert f"convert it first: llava-server convert '{folder}'" in str(caught.value)


def test_a_tokenizer_without_special_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="lacks 'bos_token'"):
        read_checkpoint(write_checkpoint_files(tmp_path, tokenizer_config={"eos_token": "</s>"}))


@pytest.mark.parametrize(
    "changes",
    [
        {"vision_config": "openai/clip"},
        {"text_config": "lmsys/vicuna"},
        {"image_token_index": None},
        {"vision_feature_layer": None},
        {"vision_feature_layer": [-2, "-5"]},
        {"vision_feature_layer": True},
        {"vision_feature_layer": -30},
        {"vision_feature_select_strategy": "cls"},
        {"torch_dtype": "int4"},
    ],
    ids=str,
)
def test_every_odd_configuration_is_a_checkpoint_error(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError):
        read_checkpoint(write_checkpoint_files(tmp_path, config=build_llava_1_5_config(**changes)))


def test_config_that_is_no_object(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        read_checkpoint(write_checkpoint_files(tmp_path, config="[]"))


def test_a_temperature_of_zero_is_greedy(tmp_path: Path) -> None:
    text = read_checkpoint(
        write_checkpoint_files(tmp_path, generation_config={"temperature": 0.0})
    ).text
    assert text.temperature == 0.0
