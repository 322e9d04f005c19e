"""The template that a release was trained on."""

from pathlib import Path

import pytest

from model_store.convert.conversation import choose_conv_mode
from model_store.convert.release import Layout, Release
from model_store.errors import ConversionError


def choose(name: str, *, has_token: bool = False, **config: str) -> str:
    release = Release(Path("/models") / name, None, config, Layout.FULL, "llama")
    return choose_conv_mode(release, None, lambda _: has_token).name


@pytest.mark.parametrize(
    ("name", "conv_mode"),
    [
        ("llava-v1.6-vicuna-13b", "vicuna_v1"),
        ("llava-v1.5-13b-lora", "vicuna_v1"),
        ("LLaVA-13b-v1-1", "llava_v1"),
        ("llava-v1-0719-336px-lora-vicuna-13b-v1.3", "llava_v1"),
        ("LLaVA-13b-delta-v0", "llava_v0"),
        ("llava-llama-2-13b-chat-lightning-preview", "llava_llama_2"),
        ("llava-v1.6-34b", "chatml_direct"),
        ("llava-v1.6-mistral-7b", "mistral_instruct"),
        ("llava-v1.5-7b-task/checkpoint-500", "vicuna_v1"),
    ],
)
def test_by_name(name: str, conv_mode: str) -> None:
    assert choose(name) == conv_mode


def test_a_renamed_release_is_recognised_by_its_config() -> None:
    assert choose("my-model", _name_or_path="./checkpoints/llava-v1.5-7b") == "vicuna_v1"
    assert choose("my-model", mm_projector_type="mlp2x_gelu") == "vicuna_v1"
    assert choose("my-model") == "llava_v0"


def test_chatml_tokens_tell_more_than_a_name() -> None:
    assert choose("llava-v1.6-yi", has_token=True) == "chatml_direct"


def test_mistral_is_mistral_whatever_its_name() -> None:
    release = Release(Path("/models/llava-v1.5"), None, {}, Layout.FULL, "mistral")
    mode = choose_conv_mode(release, None, lambda _: False)
    assert mode.name == "mistral_instruct"
    assert "Mistral" in mode.reason


def test_bakllava_is_a_mistral_trained_as_a_vicuna() -> None:
    release = Release(Path("/models/BakLLaVA-1"), None, {}, Layout.FULL, "mistral")
    assert choose_conv_mode(release, None, lambda _: False).name == "vicuna_v1"


@pytest.mark.parametrize(
    ("name", "conv_mode"),
    [
        ("llama3-llava-next-8b", "llava_llama_3"),
        ("open-llava-next-llama3-8b", "llava_llama_3"),
        ("my-model", "llava_llama_3"),
        ("llava-llama-3-8b-v1_1-hf", "llama_3"),
    ],
)
def test_llama_3(name: str, conv_mode: str) -> None:
    release = Release(Path("/models") / name, None, {}, Layout.FULL, "llama")
    found = choose_conv_mode(release, None, lambda token: token == "<|start_header_id|>")
    assert found.name == conv_mode


def test_a_projector_of_stage_1_was_trained_on_captions() -> None:
    config = {"tune_mm_mlp_adapter": True, "mm_projector_type": "mlp2x_gelu"}
    path = Path("/models/llava-pretrain-vicuna-7b-v1.3")
    for layout in (Layout.PROJECTOR, Layout.FULL):
        release = Release(path, None, config, layout, "llama")
        name = choose_conv_mode(release, None, lambda _: False).name
        assert (name == "plain") is (layout is Layout.PROJECTOR)


def test_a_requested_template_is_used_if_it_exists() -> None:
    release = Release(Path("/models/llava-v1.5"), None, {}, Layout.FULL, "llama")
    for name in ("plain", "v0"):
        assert choose_conv_mode(release, name, lambda _: False).name == name
    with pytest.raises(ConversionError, match="unknown conversation template 'vicuna_v9'; known"):
        choose_conv_mode(release, "vicuna_v9", lambda _: False)
