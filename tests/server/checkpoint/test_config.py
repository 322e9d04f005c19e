"""What a checkpoint's files say, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from server.checkpoint.config import Checkpoint, CheckpointError, TextConfig, read_checkpoint
from server.checkpoint.vision import ImageConfig, VisionConfig

# As llava-hf/llava-1.5-7b-hf has it: what equals a default of transformers is left out.
LLAVA_1_5: dict[str, Any] = {
    "architectures": ["LlavaForConditionalGeneration"],
    "ignore_index": -100,
    "image_token_index": 32000,
    "model_type": "llava",
    "pad_token_id": 32001,
    "projector_hidden_act": "gelu",
    "text_config": {
        "_name_or_path": "lmsys/vicuna-7b-v1.5",
        "architectures": ["LlamaForCausalLM"],
        "max_position_embeddings": 4096,
        "model_type": "llama",
        "rms_norm_eps": 1e-05,
        "torch_dtype": "float16",
        "vocab_size": 32064,
    },
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
    "vision_config": {
        "hidden_size": 1024,
        "image_size": 336,
        "intermediate_size": 4096,
        "model_type": "clip_vision_model",
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "patch_size": 14,
        "projection_dim": 768,
        "vocab_size": 32000,
    },
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
    "vocab_size": 32064,
}
FILES: dict[str, Any] = {
    "config.json": LLAVA_1_5,
    "preprocessor_config.json": {"image_mean": list(CLIP_MEAN), "image_std": list(CLIP_STD)},
    "tokenizer_config.json": {
        "bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": False},
        "eos_token": {"__type": "AddedToken", "content": "</s>", "lstrip": False},
    },
    "generation_config.json": {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": 2},
}


def write(folder: Path, **changes: Any) -> Path:
    """Write the checkpoint's files, some of them changed (None: left out)."""
    for name, content in FILES.items():
        content = changes.get(name.partition(".")[0], content)
        if content is not None:
            (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def config(**changes: Any) -> dict[str, Any]:
    """Return the configuration with some keys changed, those that are `...` removed."""
    changed = {**LLAVA_1_5, **changes}
    return {key: value for key, value in changed.items() if value is not ...}


def test_a_converted_llava_1_5(tmp_path: Path) -> None:
    assert read_checkpoint(write(tmp_path)) == Checkpoint(
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
        ),
        image=ImageConfig(336, "pad", CLIP_MEAN, CLIP_STD),
        text=TextConfig(
            *(4096, 32000, "<s>", "</s>", None, 1.0, 1.0),
            special_tokens={"bos_token": "<s>", "eos_token": "</s>"},
        ),
    )


def test_the_13b_model_says_its_width(tmp_path: Path) -> None:
    wider = {**LLAVA_1_5["text_config"], "hidden_size": 5120}
    checkpoint = read_checkpoint(write(tmp_path, config=config(text_config=wider)))
    assert checkpoint.vision.text_hidden_size == 5120
    assert checkpoint.vision.num_image_tokens == 576


def test_the_embedded_model(checkpoint: Checkpoint) -> None:
    assert checkpoint.dtype == "bfloat16"
    assert checkpoint.image.aspect_ratio == "pad"
    assert checkpoint.text.temperature == 0.0
    assert checkpoint.text.conv_mode == "vicuna_v1"
    assert checkpoint.vision.num_image_tokens == 64


@pytest.mark.parametrize(
    ("layers", "feature_layer", "run"),
    [(24, -2, 23), (24, -1, 24), (24, -24, 1), (24, -25, 0), (24, 0, 0), (24, 7, 7), (6, -2, 5)],
)
def test_feature_layers(layers: int, feature_layer: int, run: int, tmp_path: Path) -> None:
    tower = {**LLAVA_1_5["vision_config"], "num_hidden_layers": layers}
    changed = config(vision_config=tower, vision_feature_layer=feature_layer)
    assert read_checkpoint(write(tmp_path, config=changed)).vision.num_layers == run


@pytest.mark.parametrize(("strategy", "tokens"), [("default", 576), ("full", 577)])
def test_select_strategies(strategy: str, tokens: int, tmp_path: Path) -> None:
    changed = config(vision_feature_select_strategy=strategy)
    vision = read_checkpoint(write(tmp_path, config=changed)).vision
    assert vision.num_image_tokens == tokens


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "pad"),
        ({"image_aspect_ratio": "pad"}, "pad"),
        ({"image_aspect_ratio": "square"}, "square"),
        ({"image_aspect_ratio": None}, "square"),
    ],
)
def test_aspect_ratios(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write(tmp_path, config=config(**changes)))
    assert checkpoint.image.aspect_ratio == expected


@pytest.mark.parametrize("kind", ["anyres_max_9", "crop", 3])
def test_unknown_aspect_ratio_is_named(kind: Any, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=str(kind)):
        read_checkpoint(write(tmp_path, config=config(image_aspect_ratio=kind)))


# As llava-hf/llava-v1.6-mistral-7b-hf differs from it; the grids are [height, width].
LLAVA_1_6: dict[str, Any] = {
    **LLAVA_1_5,
    "architectures": ["LlavaNextForConditionalGeneration"],
    "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
    "model_type": "llava_next",
    "text_config": {
        "_name_or_path": "mistralai/Mistral-7B-Instruct-v0.2",
        "architectures": ["MistralForCausalLM"],
        "intermediate_size": 14336,
        "max_position_embeddings": 32768,
        "model_type": "mistral",
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-05,
        "rope_theta": 1000000.0,
        "sliding_window": None,
        "torch_dtype": "bfloat16",
        "vocab_size": 32064,
    },
    "torch_dtype": "bfloat16",
    "use_image_newline_parameter": True,
}


def next_config(**changes: Any) -> dict[str, Any]:
    """Return LLaVA-NeXT's configuration with some keys changed, those that are `...` removed."""
    changed = {**LLAVA_1_6, **changes}
    return {key: value for key, value in changed.items() if value is not ...}


def test_a_converted_llava_1_6(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write(tmp_path, config=next_config()))
    assert checkpoint.image == ImageConfig(
        *(336, "anyres", CLIP_MEAN, CLIP_STD),
        ((672, 336), (336, 672), (672, 672), (336, 1008), (1008, 336)),
    )
    assert checkpoint.image.max_tiles == 4
    vision = checkpoint.vision
    assert (vision.patch_merge, vision.has_image_newline) == ("spatial_unpad", True)
    assert (vision.projector.num_layers, vision.projector_bias) == (2, True)
    assert vision.text_hidden_size == 4096
    # 2880 patches, and a newline after each row of a column of tiles at most.
    assert 2880 + 48 <= checkpoint.max_image_tokens <= 2880 + 5 * 24


def test_a_model_without_tiles_takes_one_view(tmp_path: Path) -> None:
    assert read_checkpoint(write(tmp_path)).max_image_tokens == 576


@pytest.mark.parametrize(
    ("changes", "merge"),
    [
        ({"mm_patch_merge_type": "flat"}, "flat"),
        ({"mm_patch_merge_type": "spatial"}, "spatial"),
        ({"mm_patch_merge_type": "spatial_unpad"}, "spatial_unpad"),
        # The released code merges images of anyres only.
        ({"image_aspect_ratio": "pad", "mm_patch_merge_type": "spatial_unpad"}, "flat"),
        ({"image_aspect_ratio": None}, "flat"),
    ],
)
def test_patch_merge_types(changes: dict[str, Any], merge: str, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write(tmp_path, config=next_config(**changes)))
    assert checkpoint.vision.patch_merge == merge


def test_anyres_of_the_older_type_is_flat_unless_it_says_so(tmp_path: Path) -> None:
    anyres = config(image_aspect_ratio="anyres", image_grid_pinpoints=[[336, 672]])
    checkpoint = read_checkpoint(write(tmp_path, config=anyres))
    assert checkpoint.image.grid_pinpoints == ((672, 336),)
    assert checkpoint.vision.patch_merge == "flat"


@pytest.mark.parametrize(
    ("changes", "depth"),
    [
        ({}, 2),
        ({"mm_projector_type": "linear"}, 1),
        ({"mm_projector_type": "mlp0x_gelu"}, 1),
        ({"mm_projector_type": "mlp1x_gelu"}, 1),
        ({"mm_projector_type": "mlp2x_gelu"}, 2),
        ({"mm_projector_type": "mlp10x_gelu"}, 10),
    ],
)
def test_projectors(changes: dict[str, Any], depth: int, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write(tmp_path, config=config(**changes)))
    assert checkpoint.vision.projector.num_layers == depth


def test_an_identity_projector_needs_equal_widths(tmp_path: Path) -> None:
    narrow = {**LLAVA_1_5["text_config"], "hidden_size": 1024}
    changed = config(mm_projector_type="identity", text_config=narrow)
    assert read_checkpoint(write(tmp_path, config=changed)).vision.projector.num_layers == 0
    with pytest.raises(CheckpointError, match=r"1024 features into 4096"):
        read_checkpoint(write(tmp_path, config=config(mm_projector_type="identity")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_grid_pinpoints": ...}, "lacks 'image_grid_pinpoints'"),
        ({"image_grid_pinpoints": []}, r"image_grid_pinpoints \[\]"),
        ({"image_grid_pinpoints": "[[336, 672]]"}, "is not a list"),
        ({"image_grid_pinpoints": [[336]]}, r"\[336\] is not \[height, width\]"),
        ({"image_grid_pinpoints": [[336, 0]]}, r"\[336, 0\] is not \[height, width\]"),
        ({"image_grid_pinpoints": [[336, 500]]}, r"\[336, 500\] .* tiles of 336 pixels"),
        ({"mm_patch_merge_type": "maxpool2x2"}, "mm_patch_merge_type 'maxpool2x2'"),
        ({"vision_feature_select_strategy": "full"}, "no place for the class token"),
        ({"mm_projector_type": "mlp2x_res"}, "mm_projector_type 'mlp2x_res'"),
        ({"vision_feature_layer": [-2, -5]}, r"vision_feature_layer \[-2, -5\]"),
    ],
)
def test_what_is_not_served_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(write(tmp_path, config=next_config(**changes)))
    assert str(tmp_path) in str(caught.value)


def test_a_class_token_is_kept_where_views_are_laid_flat(tmp_path: Path) -> None:
    flat = next_config(mm_patch_merge_type="flat", vision_feature_select_strategy="full")
    checkpoint = read_checkpoint(write(tmp_path, config=flat))
    assert checkpoint.max_image_tokens == 5 * 577


def test_the_padding_is_the_checkpoints_mean(tmp_path: Path) -> None:
    assert read_checkpoint(write(tmp_path)).image.pad_color == (122, 116, 104)
    processor = {"image_mean": [0.5, 0.25, 1.0], "image_std": [0.5, 0.5, 0.5]}
    image = read_checkpoint(write(tmp_path, preprocessor_config=processor)).image
    assert image.pad_color == (127, 63, 255)


@pytest.mark.parametrize(
    ("changes", "dtype"),
    [
        ({"dtype": "bfloat16"}, "bfloat16"),  # transformers 5's word wins
        ({"torch_dtype": "float32"}, "float32"),
        ({"torch_dtype": ...}, "bfloat16"),
    ],
)
def test_dtypes(changes: dict[str, Any], dtype: str, tmp_path: Path) -> None:
    assert read_checkpoint(write(tmp_path, config=config(**changes))).dtype == dtype


def test_what_the_vision_side_may_say_or_leave_out(tmp_path: Path) -> None:
    tower = {**LLAVA_1_5["vision_config"], "hidden_act": "gelu", "layer_norm_eps": 1e-6}
    changed = config(vision_config=tower, projector_hidden_act=...)
    said = read_checkpoint(write(tmp_path, config=changed)).vision
    assert (said.hidden_act, said.layer_norm_eps, said.projector_hidden_act) == (
        *("gelu", 1e-6),
        "gelu",
    )


def test_mean_and_deviation(tmp_path: Path) -> None:
    processor = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    image = read_checkpoint(write(tmp_path, preprocessor_config=processor)).image
    assert (image.mean, image.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    image = read_checkpoint(write(tmp_path, preprocessor_config={})).image
    assert (image.mean, image.std) == (CLIP_MEAN, CLIP_STD)


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
    text = read_checkpoint(write(tmp_path, generation_config=generation)).text
    assert (text.temperature, text.top_p) == (temperature, top_p)


def test_template_and_tokens(tmp_path: Path) -> None:
    tokens = {"bos_token": "<b>", "eos_token": "<e>"}
    changed = config(conv_mode="plain", text_config={}, image_token_index=7)
    text = read_checkpoint(write(tmp_path, config=changed, tokenizer_config=tokens)).text
    assert text == TextConfig(2048, 7, "<b>", "<e>", "plain", 1.0, 1.0, special_tokens=tokens)


@pytest.mark.parametrize("file", ["config", "tokenizer_config"])
def test_missing_and_broken_files_are_named(file: str, tmp_path: Path) -> None:
    write(tmp_path, **{file: None})
    with pytest.raises(CheckpointError, match=rf"{file}\.json") as missing:
        read_checkpoint(tmp_path)
    assert str(tmp_path) in str(missing.value)
    write(tmp_path, **{file: '{"model_type":'})
    with pytest.raises(CheckpointError, match=rf"{file}\.json is not valid JSON"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("model_type", ["llama", "llava_onevision", "qwen2_vl", None, ...])
def test_other_models_are_named(model_type: Any, tmp_path: Path) -> None:
    name = None if model_type is ... else model_type
    with pytest.raises(CheckpointError, match=f"type {name!r}, not a LLaVA"):
        read_checkpoint(write(tmp_path, config=config(model_type=model_type)))


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "llava_llama", "architectures": ["LlavaLlamaForCausalLM"]},
        {"model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"]},  # the first releases
        {"model_type": "llava_mistral", "architectures": ...},
    ],
)
def test_a_released_layout_says_how_to_convert_it(changes: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "v1.5 7b"
    folder.mkdir()
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(write(folder, config=config(**changes)))
    assert f"convert it first: python -m model_store convert '{folder}'" in str(caught.value)


def test_other_towers_are_refused(tmp_path: Path) -> None:
    tower = {**LLAVA_1_5["vision_config"], "model_type": "siglip_vision_model"}
    with pytest.raises(CheckpointError, match="CLIP"):
        read_checkpoint(write(tmp_path, config=config(vision_config=tower)))


@pytest.mark.parametrize(
    "key", ["vision_feature_layer", "vision_feature_select_strategy", "image_token_index"]
)
def test_a_missing_key_is_named(key: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"lacks '{key}'"):
        read_checkpoint(write(tmp_path, config=config(**{key: ...})))


@pytest.mark.parametrize("key", ["image_size", "patch_size", "hidden_size", "num_hidden_layers"])
def test_a_key_missing_from_the_tower_is_named(key: str, tmp_path: Path) -> None:
    tower = {k: v for k, v in LLAVA_1_5["vision_config"].items() if k != key}
    with pytest.raises(CheckpointError, match=f"lacks '{key}'"):
        read_checkpoint(write(tmp_path, config=config(vision_config=tower)))


def test_a_tokenizer_without_special_tokens_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="lacks 'bos_token'"):
        read_checkpoint(write(tmp_path, tokenizer_config={"eos_token": "</s>"}))


@pytest.mark.parametrize(
    "changes",
    [
        {"vision_config": ...},
        {"text_config": ...},
        {"vision_config": "openai/clip"},
        {"vision_feature_layer": [-2, -5]},
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
        read_checkpoint(write(tmp_path, config=config(**changes)))


def test_config_that_is_no_object(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        read_checkpoint(write(tmp_path, config="[]"))


def test_a_temperature_of_zero_is_greedy(tmp_path: Path) -> None:
    text = read_checkpoint(write(tmp_path, generation_config={"temperature": 0.0})).text
    assert text.temperature == 0.0
