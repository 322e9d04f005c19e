"""Releases that need a base model: projectors alone, and deltas."""

from pathlib import Path

import pytest
import torch

from model_store.convert.conversion import plan_conversion
from model_store.errors import ConversionError
from tests.model_store.convert.conversion import convert
from tests.model_store.released import write_released
from tests.model_store.released_config import HIDDEN, VOCAB

EMBEDDING = "model.embed_tokens.weight"


def test_a_projector_is_put_on_its_base(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r", "v1.5", "projector", weights="safetensors")
    tensors = convert(released, tmp_path / "out").tensors
    own = released.own_tensors["model.mm_projector.0.weight"]
    assert tensors["multi_modal_projector.linear_1.weight"].equal(own)
    norm = released.base_tensors["model.norm.weight"]
    assert tensors["language_model.model.norm.weight"].equal(norm)


@pytest.mark.parametrize("patch", [False, True])
def test_embeddings_of_start_and_end_come_with_the_projector(tmp_path: Path, patch: bool) -> None:
    """The training code gives them the last two ids, after <im_patch> if that is used."""
    overrides = {"mm_use_im_start_end": True, "mm_use_im_patch_token": patch}
    released = write_released(tmp_path / "r", "v1.5", "projector", overrides=overrides)
    rows = torch.randn(2, HIDDEN).half()
    torch.save(released.own_tensors | {EMBEDDING: rows}, released.path / "mm_projector.bin")
    converted = convert(released, tmp_path / "out")
    ids = [converted.tokenizer.token_to_id(token) for token in ("<im_start>", "<im_end>")]
    assert ids == [VOCAB + patch, VOCAB + patch + 1]
    embedding = converted.tensors[f"language_model.{EMBEDDING}"]
    assert embedding[ids].equal(rows)
    assert embedding[:VOCAB].equal(released.base_tensors[EMBEDDING])


def test_a_whole_embedding_matrix_replaces_the_base_models(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r", "v1.5", "projector")
    rows = torch.randn(VOCAB + 3, HIDDEN).half()
    torch.save(released.own_tensors | {EMBEDDING: rows}, released.path / "mm_projector.bin")
    embedding = convert(released, tmp_path / "out").tensors[f"language_model.{EMBEDDING}"]
    assert embedding[: VOCAB + 3].equal(rows)


def test_a_delta_is_added_to_its_base(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r", "v1", "delta")
    converted = convert(released, tmp_path / "out")
    for name in ("model.layers.1.mlp.up_proj.weight", EMBEDDING):
        base, delta = released.base_tensors[name], released.own_tensors[name]
        found = converted.tensors[f"language_model.{name}"][: len(delta)]
        assert found[: len(base)].equal(base + delta[: len(base)])
        assert found[len(base) :].equal(delta[len(base) :])
    projector = released.own_tensors["model.mm_projector.weight"]
    assert converted.tensors["multi_modal_projector.linear_1.weight"].equal(projector)
    assert converted.tokenizer.token_to_id("<im_start>") == VOCAB + 1  # the delta's tokenizer
    assert converted.config["conv_mode"] == "llava_v1"


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("projector", "is a projector only: --base is needed, the folder of llava-v1.5-7b"),
        ("lora", "is a LoRA: --base is needed, the folder of lmsys/vicuna-7b-v1.5"),
        ("delta", "is a delta: --base is needed"),
    ],
)
def test_without_its_base_it_is_refused(tmp_path: Path, layout: str, message: str) -> None:
    released = write_released(tmp_path / "r", "v1.5", layout)  # type: ignore[arg-type]
    with pytest.raises(ConversionError, match=message):
        plan_conversion(released.path, released.tower, None, None, None)


def test_a_whole_model_takes_no_base(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r")
    with pytest.raises(ConversionError, match="is a whole model: it takes no --base"):
        plan_conversion(released.path, released.tower, released.tower, None, None)


def test_a_delta_of_another_model_is_refused(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r", "v1", "delta", shards=1)
    assert released.base
    file = released.base / "pytorch_model.bin"
    name = "model.layers.0.mlp.up_proj.weight"
    torch.save(released.base_tensors | {name: torch.zeros(5, 7)}, file)
    with pytest.raises(ConversionError, match=rf"the delta of {name} is \(192, 128\)"):
        convert(released, tmp_path / "out")
    torch.save(released.base_tensors | {"model.layers.9.mlp.up_proj.weight": torch.zeros(1)}, file)
    with pytest.raises(ConversionError, match=r"lacks model\.layers\.9\.mlp\.up_proj"):
        convert(released, tmp_path / "out")
