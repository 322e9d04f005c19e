"""Loading a checkpoint's vision weights: name layouts, shards, and missing or wrong weights."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from llava_spec.projector import parse_projector_type
from server.checkpoint.config import CheckpointError
from server.checkpoint.language_model import LanguageModel
from server.images.vision.tower import VisionModel
from server.images.vision.weights import choose_cpu_dtype, load_vision_model, stores_image_newline
from tests.server.images.vision.small_model import (
    IMAGE,
    VISION,
    build_random_weights,
    build_small_checkpoint,
    build_small_model,
    build_views,
)

CPU = torch.device("cpu")

Rename = Callable[[str], str]


def rename_for_transformers_4(name: str) -> str:
    """Return the name of a weight as transformers 4 wrote it."""
    return name.replace("vision_tower.", "vision_tower.vision_model.", 1)


def rename_for_transformers_5(name: str) -> str:
    """Return the name of a weight as transformers 5 writes it."""
    return f"model.{name}"


def rename_for_transformers_4_52(name: str) -> str:
    """Return the name of a weight as transformers from 4.52 writes it."""
    return f"model.{rename_for_transformers_4(name)}"


@pytest.fixture
def model() -> VisionModel:
    """Return the model whose weights are stored."""
    model = VisionModel(VISION, IMAGE).eval()
    model.load_state_dict(build_random_weights(model))
    return model


def build_tensors(
    model: VisionModel, rename: Rename = rename_for_transformers_4
) -> dict[str, Tensor]:
    """Return a checkpoint's tensors: the model's, unused vision ones and a language model's."""
    tensors = {rename(name): tensor.clone() for name, tensor in model.state_dict().items()}
    for unused in ("encoder.layers.2.mlp.fc1.weight", "post_layernorm.weight"):
        tensors[rename(f"vision_tower.{unused}")] = torch.zeros(3)
    tensors["language_model.model.embed_tokens.weight"] = torch.zeros(7, 5)
    tensors["language_model.model.layers.0.mlp.fc1.weight"] = torch.zeros(7, 5)
    return tensors


@pytest.mark.parametrize(
    "rename", [rename_for_transformers_4, rename_for_transformers_5, rename_for_transformers_4_52]
)
def test_every_name_layout(rename: Rename, model: VisionModel, tmp_path: Path) -> None:
    save_file(build_tensors(model, rename), tmp_path / "model.safetensors")
    loaded = load_vision_model(build_small_checkpoint(tmp_path), CPU)
    assert not loaded.training
    assert loaded.device == CPU
    assert set(loaded.state_dict()) == set(model.state_dict())
    assert torch.equal(loaded(build_views(2)), model(build_views(2)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_weights_take_the_checkpoints_dtype(dtype: str, model: VisionModel, tmp_path: Path) -> None:
    save_file(build_tensors(model), tmp_path / "model.safetensors")
    loaded = load_vision_model(build_small_checkpoint(tmp_path, dtype), CPU)
    expected = choose_cpu_dtype(getattr(torch, dtype))
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {expected}
    # Normalising stays in float32.
    assert {buffer.dtype for buffer in loaded.buffers()} == {torch.float32}
    assert loaded(build_views()).dtype == expected
    assert loaded.merge(loaded(build_views()), (8, 8)).dtype == getattr(torch, dtype)


@pytest.mark.parametrize(
    ("instructions", "dtype", "expected"),
    [
        ([], "bfloat16", "float32"),
        (["avx512_bf16"], "bfloat16", "bfloat16"),
        (["amx_bf16"], "bfloat16", "bfloat16"),
        (["avx512_bf16"], "float16", "float32"),
        (["avx512_fp16"], "float16", "float16"),
        ([], "float32", "float32"),
    ],
)
def test_half_precision_without_instructions_becomes_float32(
    instructions: list[str], dtype: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"architecture": "x86_64", **dict.fromkeys(instructions, True)}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    assert choose_cpu_dtype(getattr(torch, dtype)) == getattr(torch, expected)


@pytest.mark.parametrize("engine_dtype", [torch.bfloat16, torch.float32])
def test_weights_take_the_engines_dtype(
    engine_dtype: torch.dtype, model: VisionModel, tmp_path: Path
) -> None:
    save_file(build_tensors(model), tmp_path / "model.safetensors")
    loaded = load_vision_model(build_small_checkpoint(tmp_path, "float16"), CPU, engine_dtype)
    expected = choose_cpu_dtype(engine_dtype)
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {expected}
    assert loaded.merge(loaded(build_views()), (8, 8)).dtype == engine_dtype


def test_beside_a_quantised_language_model_weights_keep_their_dtype(
    model: VisionModel, tmp_path: Path
) -> None:
    save_file(build_tensors(model), tmp_path / "model.safetensors")
    checkpoint = build_small_checkpoint(tmp_path, "float16")
    quantised = replace(checkpoint, language_model=LanguageModel(quantization="awq"))
    loaded = load_vision_model(quantised, CPU, torch.bfloat16)
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}
    merged = loaded.merge(loaded(build_views()), (8, 8))
    assert torch.equal(merged, model(build_views())[0].bfloat16())


LAYER = "vision_tower.encoder.layers.0.mlp.fc1"
# What each method stores of one layer, in place of its weight or beside it.
QUANTISED = {
    "awq": {"qweight": torch.int32, "qzeros": torch.int32, "scales": torch.float16},
    "gptq": {"qweight": torch.int32, "g_idx": torch.int32, "scales": torch.float16},
    "compressed-tensors": {"weight_packed": torch.int32, "weight_scale": torch.float16},
    "int8": {"weight": torch.int8, "weight_scale": torch.float32},
    "fp8": {"weight": torch.float8_e4m3fn},
    "bitsandbytes": {
        "weight": torch.uint8,
        "weight.absmax": torch.float32,
        "weight.quant_state.bitsandbytes__nf4": torch.uint8,
    },
}


@pytest.mark.parametrize("method", QUANTISED)
def test_a_quantised_tower_is_refused(method: str, model: VisionModel, tmp_path: Path) -> None:
    layer = rename_for_transformers_4(LAYER)
    tensors = build_tensors(model)
    weight = tensors.pop(f"{layer}.weight")
    for name, dtype in QUANTISED[method].items():
        tensors[f"{layer}.{name}"] = torch.zeros(weight.shape).to(dtype)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"fc1.* is quantised; only the language model may"):
        load_vision_model(build_small_checkpoint(tmp_path), CPU)


def save_shards(tensors: dict[str, Tensor], folder: Path) -> dict[str, str]:
    """Save tensors in three shards, two of which hold vision weights."""
    weight_map = {}
    for index, name in enumerate(sorted(tensors)):
        number = 3 if name.startswith("language_model") else 1 + index % 2
        weight_map[name] = f"model-{number:05}-of-00003.safetensors"
    for file in set(weight_map.values()):
        part = {name: tensors[name] for name in tensors if weight_map[name] == file}
        save_file(part, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return weight_map


def test_shards(model: VisionModel, tmp_path: Path) -> None:
    save_shards(build_tensors(model), tmp_path)
    loaded = load_vision_model(build_small_checkpoint(tmp_path), CPU)
    assert torch.equal(loaded(build_views(2)), model(build_views(2)))


def test_shards_without_vision_weights_are_not_opened(model: VisionModel, tmp_path: Path) -> None:
    save_shards(build_tensors(model), tmp_path)
    (tmp_path / "model-00003-of-00003.safetensors").unlink()
    load_vision_model(build_small_checkpoint(tmp_path), CPU)


@pytest.mark.parametrize(
    "name",
    [
        "vision_tower.embeddings.position_embedding.weight",
        "vision_tower.encoder.layers.1.self_attn.q_proj.bias",
        "vision_tower.pre_layrnorm.weight",
        "multi_modal_projector.linear_2.weight",
    ],
)
def test_a_missing_weight_is_named(name: str, model: VisionModel, tmp_path: Path) -> None:
    tensors = build_tensors(model)
    del tensors[rename_for_transformers_4(name)]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load_vision_model(build_small_checkpoint(tmp_path), CPU)
    assert name in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_weight_missing_from_the_shards_is_named(model: VisionModel, tmp_path: Path) -> None:
    tensors = build_tensors(model)
    del tensors["multi_modal_projector.linear_1.bias"]
    save_shards(tensors, tmp_path)
    with pytest.raises(CheckpointError, match=r"multi_modal_projector\.linear_1\.bias"):
        load_vision_model(build_small_checkpoint(tmp_path), CPU)


def test_a_wrong_shape_is_named_with_both_shapes(model: VisionModel, tmp_path: Path) -> None:
    tensors = build_tensors(model)
    tensors["multi_modal_projector.linear_1.weight"] = torch.zeros(48, 33)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load_vision_model(build_small_checkpoint(tmp_path), CPU)
    for part in ("multi_modal_projector.linear_1.weight", "(48, 33)", "(48, 32)"):
        assert part in str(caught.value)


def test_a_configuration_that_does_not_match_is_an_error(
    model: VisionModel, tmp_path: Path
) -> None:
    save_file(build_tensors(model), tmp_path / "model.safetensors")
    checkpoint = build_small_checkpoint(tmp_path)
    taller = replace(checkpoint, vision=replace(VISION, num_layers=3))
    with pytest.raises(CheckpointError, match=r"encoder\.layers\.2"):
        load_vision_model(taller, CPU)
    finer = replace(checkpoint, vision=replace(VISION, image_size=32))
    with pytest.raises(CheckpointError, match="position_embedding"):
        load_vision_model(finer, CPU)


def test_a_checkpoint_without_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_vision_model(build_small_checkpoint(tmp_path), CPU)


def test_a_missing_shard_is_a_checkpoint_error(tmp_path: Path) -> None:
    save_shards(build_tensors(build_small_model()), tmp_path)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(CheckpointError):
        load_vision_model(build_small_checkpoint(tmp_path), torch.device("cpu"))


def build_variant(**changes: Any) -> VisionModel:
    """Return a model with random weights and a changed configuration."""
    model = VisionModel(replace(VISION, **changes), IMAGE).eval()
    model.load_state_dict(build_random_weights(model))
    return model


@pytest.mark.parametrize("rename", [rename_for_transformers_4, rename_for_transformers_5])
def test_image_newline(rename: Rename, tmp_path: Path) -> None:
    model = build_variant(patch_merge="spatial_unpad")
    save_file(build_tensors(model, rename), tmp_path / "model.safetensors")
    checkpoint = build_small_checkpoint(tmp_path)
    loaded = load_vision_model(replace(checkpoint, vision=model.vision), CPU)
    assert loaded.image_newline is not None
    assert torch.equal(loaded.image_newline, model.state_dict()["image_newline"])
    assert stores_image_newline(tmp_path)


def test_an_image_newline_in_a_shard(tmp_path: Path) -> None:
    model = build_variant(patch_merge="spatial_unpad")
    save_shards(build_tensors(model), tmp_path)
    assert stores_image_newline(tmp_path)
    save_shards(build_tensors(build_variant()), tmp_path)
    assert not stores_image_newline(tmp_path)


def test_a_missing_image_newline_is_named(model: VisionModel, tmp_path: Path) -> None:
    save_file(build_tensors(model), tmp_path / "model.safetensors")
    assert not stores_image_newline(tmp_path)
    checkpoint = build_small_checkpoint(tmp_path)
    unpad = replace(checkpoint, vision=replace(VISION, patch_merge="spatial_unpad"))
    with pytest.raises(CheckpointError, match="image_newline"):
        load_vision_model(unpad, CPU)


@pytest.mark.parametrize("kind", ["identity", "linear", "mlp3x_gelu"])
def test_projectors_of_every_depth(kind: str, tmp_path: Path) -> None:
    model = build_variant(projector=parse_projector_type(kind))
    save_file(build_tensors(model), tmp_path / "model.safetensors")
    checkpoint = build_small_checkpoint(tmp_path)
    loaded = load_vision_model(replace(checkpoint, vision=model.vision), CPU)
    assert torch.equal(loaded(build_views(2)), model(build_views(2)))
