"""The converted configuration, by version."""

import json
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoProcessor
from transformers.models.llava_next.modeling_llava_next import select_best_resolution

from model_store.errors import ConversionError
from tests.model_store.convert.conversion import convert
from tests.model_store.released import WrittenRelease, write_released
from tests.model_store.released_config import PATCH, Version


def test_v1(tmp_path: Path) -> None:
    config = convert(write_released(tmp_path / "r", "v1"), tmp_path / "out").config
    assert config["model_type"] == "llava"
    assert config["architectures"] == ["LlavaForConditionalGeneration"]
    assert config["mm_projector_type"] == "linear"
    assert config["image_aspect_ratio"] == "square"
    assert config["conv_mode"] == "llava_v1"
    assert config["dtype"] == "float16"
    assert config["text_config"]["max_position_embeddings"] == 2048
    assert config["text_config"]["rms_norm_eps"] == 1e-06
    assert config["vision_config"]["image_size"] == 56
    assert config["image_seq_length"] == (56 // PATCH) ** 2


def test_v15(tmp_path: Path) -> None:
    config = convert(write_released(tmp_path / "r", "v1.5"), tmp_path / "out").config
    assert config["mm_projector_type"] == "mlp2x_gelu"
    assert config["image_aspect_ratio"] == "pad"
    assert config["conv_mode"] == "vicuna_v1"
    assert config["vision_feature_layer"] == -2
    assert config["vision_feature_select_strategy"] == "default"
    assert config["text_config"]["max_position_embeddings"] == 4096
    assert config["vision_config"]["model_type"] == "clip_vision_model"
    # LLaVA's keys stand beside the language model's in the release, not here.
    assert not [key for key in config["text_config"] if key.startswith(("mm_", "image_", "tune"))]


@pytest.mark.parametrize(
    ("version", "model_type", "conv_mode"),
    [
        ("v1.6-vicuna", "llama", "vicuna_v1"),
        ("v1.6-mistral", "mistral", "mistral_instruct"),
        ("v1.6-34b", "llama", "chatml_direct"),
    ],
)
def test_v16(tmp_path: Path, version: Version, model_type: str, conv_mode: str) -> None:
    config = convert(write_released(tmp_path / "r", version), tmp_path / "out").config
    assert config["model_type"] == "llava_next"
    assert config["architectures"] == ["LlavaNextForConditionalGeneration"]
    assert config["text_config"]["model_type"] == model_type
    assert config["image_aspect_ratio"] == "anyres"
    assert config["mm_patch_merge_type"] == "spatial_unpad"
    assert config["conv_mode"] == conv_mode
    assert config["dtype"] == "bfloat16"


def test_mistrals_sliding_window_stays_off(tmp_path: Path) -> None:
    """A config that does not say has a window of 4096 tokens."""
    text = convert(write_released(tmp_path / "r", "v1.6-mistral"), tmp_path / "out").config[
        "text_config"
    ]
    assert text["sliding_window"] is None
    assert text["num_key_value_heads"] == 2
    loaded = AutoConfig.from_pretrained(tmp_path / "out").text_config
    assert loaded.sliding_window is None
    assert loaded.rope_parameters["rope_theta"] == 1000000.0
    assert loaded.max_position_embeddings == 32768


def test_grid_pinpoints_are_height_first(tmp_path: Path) -> None:
    """The release's (112, 28) is wide, so that a panorama must get it."""
    released = write_released(tmp_path / "r", "v1.6-vicuna")
    assert released.config["image_grid_pinpoints"][-1] == [112, 28]
    pinpoints = convert(released, tmp_path / "out").config["image_grid_pinpoints"]
    expected = [[56, 28], [28, 56], [56, 56], [28, 84], [84, 28], [28, 112]]
    assert pinpoints == expected
    assert select_best_resolution((100, 400), pinpoints) == (28, 112)


def test_grid_pinpoints_may_be_a_string(tmp_path: Path) -> None:
    overrides = {"image_grid_pinpoints": "[(28, 56), (84, 28)]"}
    released = write_released(tmp_path / "r", "v1.6-vicuna", overrides=overrides)
    config = convert(released, tmp_path / "out").config
    assert config["image_grid_pinpoints"] == [[56, 28], [28, 84]]


def test_grid_pinpoints_may_be_a_range_of_tiles(tmp_path: Path) -> None:
    overrides = {"image_grid_pinpoints": "(1x1),...,(2x3)"}
    released = write_released(tmp_path / "r", "v1.6-vicuna", overrides=overrides)
    found = convert(released, tmp_path / "out").config["image_grid_pinpoints"]
    assert found == [[28, 28], [56, 28], [84, 28], [28, 56], [56, 56], [84, 56]]


@pytest.mark.parametrize(
    "pinpoints", [None, [], "(1x1),...,(6)", "(2x2),...,(1x1)", [[28]], [[30, 28]], [[0, 28]]]
)
def test_grid_pinpoints_must_be_sizes(tmp_path: Path, pinpoints: object) -> None:
    overrides = {"image_grid_pinpoints": pinpoints}
    released = write_released(tmp_path / "r", "v1.6-vicuna", overrides=overrides)
    with pytest.raises(ConversionError, match="image_grid_pinpoints"):
        convert(released, tmp_path / "out")


def test_the_class_token_may_be_kept(tmp_path: Path) -> None:
    overrides = {"mm_vision_select_feature": "cls_patch", "mm_vision_select_layer": -1}
    released = write_released(tmp_path / "r", overrides=overrides)
    config = convert(released, tmp_path / "out").config
    assert config["vision_feature_select_strategy"] == "full"
    assert config["vision_feature_layer"] == -1
    assert config["image_seq_length"] == (28 // PATCH) ** 2 + 1


@pytest.mark.parametrize(
    ("kind", "layers"), [("mlp3x_gelu", 3), ("mlp1x_gelu", 1), ("mlp0x_gelu", 1)]
)
def test_mlp_projectors(tmp_path: Path, kind: str, layers: int) -> None:
    released = write_released(tmp_path / "r", overrides={"mm_projector_type": kind})
    converted = convert(released, tmp_path / "out")
    assert converted.config["mm_projector_type"] == kind
    for layer in range(layers):
        old = released.own_tensors[f"model.mm_projector.{2 * layer}.weight"]
        assert converted.tensors[f"multi_modal_projector.linear_{layer + 1}.weight"].equal(old)
    assert sum(name.startswith("multi_modal") for name in converted.tensors) == 2 * layers


def test_an_identity_projector_has_no_weights(tmp_path: Path) -> None:
    overrides = {"mm_projector_type": "identity", "hidden_size": 64}
    released = write_released(tmp_path / "r", overrides=overrides)
    converted = convert(released, tmp_path / "out")
    assert converted.config["mm_projector_type"] == "identity"
    assert not any(name.startswith("multi_modal") for name in converted.tensors)


def test_an_identity_projector_needs_equal_sizes(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r", overrides={"mm_projector_type": "identity"})
    with pytest.raises(ConversionError, match="identity"):
        convert(released, tmp_path / "out")


@pytest.mark.parametrize(
    ("version", "size", "padded"),
    [("v1", 56, False), ("v1.5", 28, True), ("v1.6-vicuna", 28, True)],
)
def test_transformers_loads_the_processor(
    tmp_path: Path, version: Version, size: int, padded: bool
) -> None:
    convert(write_released(tmp_path / "r", version), tmp_path / "out")
    processor = AutoProcessor.from_pretrained(tmp_path / "out")
    images = processor.image_processor
    assert (images.crop_size["height"], images.crop_size["width"]) == (size, size)
    assert images.do_pad is padded
    next_gen = version.startswith("v1.6")
    assert type(processor).__name__ == ("LlavaNextProcessor" if next_gen else "LlavaProcessor")
    if next_gen:
        assert images.image_grid_pinpoints[-1] == [size, 4 * size]


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"mm_projector_type": "qformer"}, "mm_projector_type 'qformer' is not supported"),
        (
            {"image_aspect_ratio": "anyres_max_9", "image_grid_pinpoints": [[28, 28]]},
            "image_aspect_ratio 'anyres_max_9' are not supported for a language model",
        ),
        ({"mm_vision_select_layer": -5}, "mm_vision_select_layer -5 is not one of the tower's 3"),
        ({"mm_vision_select_feature": "cls"}, "mm_vision_select_feature 'cls'"),
        ({"mm_hidden_size": 1024}, "mm_hidden_size 1024"),
        ({"torch_dtype": "float8"}, "dtype 'float8' is not one of"),
        ({"quantization_config": {"bits": 4}}, "is quantised"),
        ({"architectures": ["LlavaMptForCausalLM"]}, "MPT language models are not supported"),
        ({"architectures": ["LlavaMPTForCausalLM"]}, "MPT language models are not supported"),
        ({"architectures": [], "model_type": "llava_mpt"}, "MPT language models are not"),
        ({"architectures": ["LlavaForConditionalGeneration"]}, "Hugging Face layout already"),
        ({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}, "is a GPT2LMHeadModel"),
        ({"num_hidden_layers": None}, "config.json: num_hidden_layers is None, not a positive"),
        ({"hidden_size": "128"}, "config.json: hidden_size is '128', not a positive"),
        ({"mm_hidden_size": [64]}, "mm_hidden_size [64]"),
        ({"image_aspect_ratio": {"a": 1}}, "image_aspect_ratio {'a': 1} is not supported"),
        ({"architectures": 5}, "a setting has the wrong type"),
        ({"num_key_value_heads": "4"}, "num_key_value_heads is '4', not a positive"),
    ],
)
def test_unsupported_configurations_are_refused(
    tmp_path: Path, overrides: dict[str, object], reason: str
) -> None:
    released = write_with_changed_config(tmp_path, overrides)
    with pytest.raises(ConversionError) as error:
        convert(released, tmp_path / "out")
    assert reason in str(error.value)


def write_with_changed_config(tmp_path: Path, overrides: dict[str, object]) -> WrittenRelease:
    """Write a release, then change its config: no tensors fit such a config."""
    released = write_released(tmp_path / "r")
    file = released.path / "config.json"
    file.write_text(json.dumps(released.config | overrides))
    return released
