"""LoRA releases: the merged weights against peft's formula, and adapters that cannot be merged."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from model_store.errors import ConversionError
from tests.model_store.convert.conversion import convert
from tests.model_store.released import WrittenRelease, write_released
from tests.model_store.released_config import LORA_ALPHA, LORA_RANK

QUERY = "model.layers.0.self_attn.q_proj"
DOWN = "model.layers.1.mlp.down_proj"


@pytest.fixture
def released(tmp_path: Path) -> WrittenRelease:
    return write_released(tmp_path / "r", "v1.5", "lora")


def edit_config(released: WrittenRelease, **changes: Any) -> None:
    file = released.path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def adapter(released: WrittenRelease) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = torch.load(released.path / "adapter_model.bin", weights_only=True)
    return weights


def edit_adapter(released: WrittenRelease, weights: dict[str, Tensor]) -> None:
    torch.save(weights, released.path / "adapter_model.bin")


def update(released: WrittenRelease, module: str) -> Tensor:
    """B @ A of one module."""
    a = released.own_tensors[f"base_model.model.{module}.lora_A.weight"]
    b = released.own_tensors[f"base_model.model.{module}.lora_B.weight"]
    return b @ a


def assert_added(released: WrittenRelease, out: Path, module: str, scale: float) -> None:
    tensors = convert(released, out, dtype="float32").tensors
    base = released.base_tensors[f"{module}.weight"]
    expected = (base.float() + scale * update(released, module)).to(base.dtype).float()
    torch.testing.assert_close(
        tensors[f"language_model.{module}.weight"], expected, atol=1e-3, rtol=1e-3
    )
    assert (expected - base.float()).abs().max() > 0.05


@pytest.mark.parametrize("module", [QUERY, DOWN])
def test_alpha_over_r(released: WrittenRelease, tmp_path: Path, module: str) -> None:
    assert_added(released, tmp_path / "out", module, LORA_ALPHA / LORA_RANK)


def test_a_rank_stabilised_lora_divides_by_the_root(
    released: WrittenRelease, tmp_path: Path
) -> None:
    edit_config(released, use_rslora=True)
    assert_added(released, tmp_path / "out", QUERY, LORA_ALPHA / math.sqrt(LORA_RANK))


def test_modules_may_have_their_own_alpha(released: WrittenRelease, tmp_path: Path) -> None:
    edit_config(released, alpha_pattern={"layers.0.self_attn.q_proj": 3})
    assert_added(released, tmp_path / "out", QUERY, 3 / LORA_RANK)


def test_modules_without_an_adapter_are_the_base_models(
    released: WrittenRelease, tmp_path: Path
) -> None:
    tensors = convert(released, tmp_path / "out").tensors
    name = "model.layers.0.self_attn.v_proj.weight"
    assert tensors[f"language_model.{name}"].equal(released.base_tensors[name])


def test_the_projector_is_the_non_lora_one(released: WrittenRelease, tmp_path: Path) -> None:
    tensors = convert(released, tmp_path / "out").tensors
    name = "base_model.model.model.mm_projector.2.weight"
    found = tensors["multi_modal_projector.linear_2.weight"]
    assert found.equal(released.own_tensors[name])


def test_saved_modules_replace_the_base_models(released: WrittenRelease, tmp_path: Path) -> None:
    head = torch.randn_like(released.base_tensors["lm_head.weight"])
    weights = adapter(released) | {"base_model.model.lm_head.weight": head}
    edit_adapter(released, weights)
    tensors = convert(released, tmp_path / "out").tensors
    assert tensors["language_model.lm_head.weight"][: len(head)].equal(head)


def test_an_adapter_in_safetensors_comes_first(released: WrittenRelease, tmp_path: Path) -> None:
    save_file(adapter(released), released.path / "adapter_model.safetensors")
    (released.path / "adapter_model.bin").write_bytes(b"")
    assert_added(released, tmp_path / "out", QUERY, LORA_ALPHA / LORA_RANK)


def convert_error(released: WrittenRelease, out: Path) -> str:
    with pytest.raises(ConversionError) as error:
        convert(released, out)
    assert not out.exists()
    return str(error.value)


def test_an_adapter_must_fit(released: WrittenRelease, tmp_path: Path) -> None:
    weights = adapter(released)
    name = f"base_model.model.{QUERY}.lora_B.weight"
    edit_adapter(released, weights | {name: torch.zeros(100, LORA_RANK)})
    message = convert_error(released, tmp_path / "out")
    assert "adapter_model.bin" in message
    assert f"(100, {LORA_RANK})" in message
    assert f"{QUERY}.weight" in message


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (f"base_model.model.{QUERY}.lora_embedding_A", "kind that is not supported"),
        (f"base_model.model.{QUERY}.bias", "unknown kind"),
        ("base_model.model.model.layers.7.mlp.up_proj.lora_A.weight", "only one of"),
    ],
)
def test_unknown_weights_are_refused(
    released: WrittenRelease, tmp_path: Path, name: str, reason: str
) -> None:
    edit_adapter(released, adapter(released) | {name: torch.zeros(4, 128)})
    message = convert_error(released, tmp_path / "out")
    assert reason in message
    assert "adapter_model.bin" in message


def test_an_adapter_for_a_deeper_model_is_refused(released: WrittenRelease, tmp_path: Path) -> None:
    module = "base_model.model.model.layers.7.mlp.up_proj"
    pair = {f"{module}.lora_A.weight": torch.zeros(4, 128)}
    pair[f"{module}.lora_B.weight"] = torch.zeros(192, 4)
    edit_adapter(released, adapter(released) | pair)
    message = convert_error(released, tmp_path / "out")
    assert "adapts model.layers.7.mlp.up_proj.weight, which the base model lacks" in message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"use_dora": True}, "use_dora is not supported"),
        ({"peft_type": "IA3"}, "IA3 is not a LoRA"),
        ({"lora_alpha": None}, "has no lora_alpha"),
    ],
)
def test_other_kinds_of_adapters_are_refused(
    released: WrittenRelease, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    edit_config(released, **changes)
    assert reason in convert_error(released, tmp_path / "out")


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("adapter_model.bin", "has no adapter_model.safetensors or adapter_model.bin"),
        ("non_lora_trainables.bin", "has no non_lora_trainables.bin"),
    ],
)
def test_a_missing_file_is_named(
    released: WrittenRelease, tmp_path: Path, file: str, reason: str
) -> None:
    (released.path / file).unlink()
    assert reason in convert_error(released, tmp_path / "out")
