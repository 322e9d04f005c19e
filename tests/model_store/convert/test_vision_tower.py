"""Towers beside the release or inside it, in the layouts that CLIP is stored in."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model_store.convert.conversion import plan_conversion, write_conversion
from model_store.errors import ConversionError
from tests.model_store.convert.conversion import convert, read_converted
from tests.model_store.released import WrittenRelease, write_released

PATCHES = "vision_model.embeddings.patch_embedding.weight"


def rename_tower(released: WrittenRelease) -> dict[str, torch.Tensor]:
    return {f"vision_tower.{name}": tensor for name, tensor in released.tower_tensors.items()}


def converted_tower(released: WrittenRelease, out: Path) -> dict[str, torch.Tensor]:
    tensors = convert(released, out).tensors
    return {name: tensor for name, tensor in tensors.items() if name.startswith("vision_tower.")}


def are_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        found[name].equal(tensor.to(found[name].dtype)) for name, tensor in expected.items()
    )


def test_a_full_clip_beside(tmp_path: Path) -> None:
    """Its text tower, projections and buffers stay behind."""
    released = write_released(tmp_path / "r")
    assert are_equal(converted_tower(released, tmp_path / "out"), rename_tower(released))


@pytest.mark.parametrize("prefix", ["vision_model.", ""])
def test_a_lone_vision_tower_beside(tmp_path: Path, prefix: str) -> None:
    """As transformers 4 and 5 save a CLIPVisionModel."""
    released = write_released(tmp_path / "r")
    (released.tower / "pytorch_model.bin").unlink()
    save_file(
        {n.replace("vision_model.", prefix): t for n, t in released.tower_tensors.items()},
        released.tower / "model.safetensors",
    )
    file = released.tower / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text())["vision_config"]))
    assert are_equal(converted_tower(released, tmp_path / "out"), rename_tower(released))


def make_other_tower(released: WrittenRelease) -> dict[str, torch.Tensor]:
    """Give the tower's folder weights that are not those of the release; return them."""
    other = {name: tensor + 1 for name, tensor in released.tower_tensors.items()}
    torch.save(other, released.tower / "pytorch_model.bin")
    return {f"vision_tower.{name}": tensor for name, tensor in other.items()}


def test_a_folder_that_is_given_comes_first(tmp_path: Path) -> None:
    """Also before a tower that was tuned; a folder without weights gives the configuration."""
    released = write_released(tmp_path / "r", "v1.6-vicuna")
    other = make_other_tower(released)
    conversion = plan_conversion(released.path, released.tower, None, None, None)
    source = f"{released.tower}, in place of the tuned one in the release"
    assert conversion.vision_tower == source
    assert are_equal(converted_tower(released, tmp_path / "out"), other)
    (released.tower / "pytorch_model.bin").unlink()
    conversion = plan_conversion(released.path, released.tower, None, None, None)
    assert conversion.vision_tower == "in the release"
    assert are_equal(converted_tower(released, tmp_path / "again"), rename_tower(released))


@pytest.mark.parametrize(
    ("config", "is_tuned"),
    [
        ({"unfreeze_mm_vision_tower": True}, True),
        ({"unfreeze_mm_vision_tower": False}, False),
        ({"unfreeze_mm_vision_tower": None}, False),
        ({"mm_tunable_parts": "mm_vision_tower,mm_mlp_adapter,mm_language_model"}, True),
        ({"mm_tunable_parts": "mm_mlp_adapter"}, False),
    ],
)
def test_a_tower_in_the_release_is_taken_if_it_was_tuned(
    tmp_path: Path, config: dict[str, object], is_tuned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's folder of the named tower is not chosen by the user."""
    monkeypatch.setenv("LLAVA_STORE", str(tmp_path / "store"))
    overrides = {"mm_vision_tower": "openai/clip", **config}
    released = write_released(tmp_path / "r", "v1.5", tower_inside=True, overrides=overrides)
    if not is_tuned:
        with pytest.raises(ConversionError, match="was not tuned, so it is openai/clip"):
            plan_conversion(released.path, None, None, None, None)
    other = make_other_tower(released)
    shutil.copytree(released.tower, tmp_path / "store" / "openai" / "clip")
    write_conversion(plan_conversion(released.path, None, None, None, None), tmp_path / "out")
    tensors = read_converted(tmp_path / "out").tensors
    found = {name: each for name, each in tensors.items() if name.startswith("vision_tower.")}
    assert are_equal(found, rename_tower(released) if is_tuned else other)


def test_a_missing_tower_is_named_with_the_option(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r")
    with pytest.raises(ConversionError) as error:
        plan_conversion(released.path, None, None, None, None)
    assert "openai/clip-vit-large-patch14-336" in str(error.value)
    assert "--vision-tower" in str(error.value)


def test_openais_towers_need_no_folder_for_their_configuration(tmp_path: Path) -> None:
    """Here the release is too small for what is known of the tower: the shapes say so."""
    released = write_released(tmp_path / "r", "v1.6-vicuna")
    with pytest.raises(
        ConversionError, match=r"patch_embedding.weight is \(64, 3, .*wants \(1024, 3,"
    ):
        plan_conversion(released.path, None, None, None, None)
    overrides = {"mm_vision_tower": "someone/else"}
    unknown = write_released(tmp_path / "u", "v1.6-vicuna", overrides=overrides)
    with pytest.raises(ConversionError, match=r"someone/else.*--vision-tower"):
        plan_conversion(unknown.path, None, None, None, None)


def test_the_normalisation_is_the_towers(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r")
    file = released.tower / "preprocessor_config.json"
    changed = json.loads(file.read_text()) | {"image_mean": [0.1, 0.2, 0.3]}
    file.write_text(json.dumps(changed))
    processor = convert(released, tmp_path / "out").json("preprocessor_config.json")
    assert processor["image_mean"] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("file", "changes", "reason"),
    [
        ("config.json", {"model_type": "dinov2"}, "only CLIP and SigLIP towers"),
        ("config.json", {"vision_config": {"patch_size": 0}}, "patch_size is 0, not a positive"),
        ("preprocessor_config.json", {"crop_size": 336}, "crops to 336, the tower takes 28"),
        ("preprocessor_config.json", {"crop_size": {"height": 336, "width": 336}}, "crops to 336"),
    ],
)
def test_another_tower_is_refused(
    tmp_path: Path, file: str, changes: dict[str, object], reason: str
) -> None:
    released = write_released(tmp_path / "r")
    path = released.tower / file
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ConversionError, match=reason):
        plan_conversion(released.path, released.tower, None, None, None)


def test_a_tower_of_another_size_is_refused(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r")
    tensors = released.tower_tensors | {PATCHES: torch.zeros(64, 3, 16, 16)}
    torch.save(tensors, released.tower / "pytorch_model.bin")
    with pytest.raises(ConversionError, match=r"patch_embedding.*\(64, 3, 16, 16\)"):
        plan_conversion(released.path, released.tower, None, None, None)
