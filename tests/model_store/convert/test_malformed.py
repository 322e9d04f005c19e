"""Releases that are broken: one line that names the file or the weight, and nothing written."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model_store.convert.conversion import plan_conversion, write_conversion
from model_store.errors import ConversionError
from tests.model_store.convert.conversion import convert
from tests.model_store.released import WrittenRelease, write_released


class Attack:
    """Unpickling it creates a file."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.proof,)


def convert_error(released: WrittenRelease, out: Path) -> str:
    """Return the reason; a reason is one line and leaves nothing behind."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(ConversionError) as error:
        convert(released, out)
    assert sorted(out.parent.iterdir()) == before
    message = str(error.value)
    assert "\n" not in message
    return message


def rewrite(released: WrittenRelease, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the tensors of a one-file release in safetensors."""
    file = released.path / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


@pytest.fixture
def single(tmp_path: Path) -> WrittenRelease:
    return write_released(tmp_path / "r", weights="safetensors", shards=1)


def test_a_missing_shard(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r")
    (released.path / "pytorch_model-00002-of-00002.bin").unlink()
    message = convert_error(released, tmp_path / "out")
    assert message == f"{released.path} lacks the shard pytorch_model-00002-of-00002.bin"


def test_a_shard_that_was_cut_short(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r")
    file = released.path / "pytorch_model-00002-of-00002.bin"
    file.write_bytes(file.read_bytes()[:5000])
    assert str(file) in convert_error(released, tmp_path / "out")


def test_a_safetensors_file_that_was_cut_short(single: WrittenRelease, tmp_path: Path) -> None:
    file = single.path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    assert f"{file} cannot be read" in convert_error(single, tmp_path / "out")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    released = write_released(tmp_path / "r", shards=1)
    proof = tmp_path / "it-ran"
    content = {"model.norm.weight": torch.ones(128), "x": Attack(proof)}
    file = released.path / "pytorch_model.bin"
    if zipped:
        torch.save(content, file)
    else:
        file.write_bytes(pickle.dumps(content, protocol=2))
    assert f"{file} holds more than tensors" in convert_error(released, tmp_path / "out")
    assert not proof.exists()
    torch.load(file, weights_only=False) if zipped else pickle.loads(file.read_bytes())  # noqa: S301
    assert proof.exists()  # so it would have run


def test_a_git_lfs_pointer(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r", shards=1)
    file = released.path / "pytorch_model.bin"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert f"{file} holds more than tensors, or is not a checkpoint" in convert_error(
        released, tmp_path / "out"
    )


def test_a_file_of_something_else(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r", shards=1)
    file = released.path / "pytorch_model.bin"
    torch.save([torch.ones(3)], file)
    assert f"{file} does not hold tensors by name" in convert_error(released, tmp_path / "out")
    torch.save({"epoch": 3}, file)
    assert f"{file}: epoch is not a tensor" in convert_error(released, tmp_path / "out")


def test_the_old_pickle_format_is_read(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r", shards=1)
    file = released.path / "pytorch_model.bin"
    torch.save(torch.load(file, weights_only=True), file, _use_new_zipfile_serialization=False)
    converted = convert(released, tmp_path / "out")
    norm = released.base_tensors["model.norm.weight"]
    assert converted.tensors["language_model.model.norm.weight"].equal(norm)


def test_a_missing_weight(single: WrittenRelease, tmp_path: Path) -> None:
    name = "model.layers.1.self_attn.k_proj.weight"
    rewrite(single, lambda tensors: tensors.pop(name))
    assert convert_error(single, tmp_path / "out") == f"{single.path} lacks the weight {name}"


def test_a_weight_of_another_shape(single: WrittenRelease, tmp_path: Path) -> None:
    name = "model.mm_projector.2.weight"
    rewrite(single, lambda tensors: tensors.update({name: torch.zeros(128, 64)}))
    message = convert_error(single, tmp_path / "out")
    assert f"{name} is (128, 64), the configuration wants (128, 128)" in message
    assert "model.safetensors" in message


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.self_attn.q_proj.bias",
        "model.layers.2.mlp.up_proj.weight",
        "model.vision_resampler.query",
        "model.mm_projector.4.weight",
    ],
)
def test_a_weight_that_would_be_lost(single: WrittenRelease, tmp_path: Path, name: str) -> None:
    rewrite(single, lambda tensors: tensors.update({name: torch.zeros(3)}))
    message = convert_error(single, tmp_path / "out")
    assert name in message
    assert "model.safetensors" in message


def test_a_value_beyond_the_dtype(tmp_path: Path) -> None:
    released = write_released(
        tmp_path / "r", weights="safetensors", shards=1, overrides={"torch_dtype": "bfloat16"}
    )
    norm = torch.full((128,), 1e30, dtype=torch.bfloat16)
    rewrite(released, lambda tensors: tensors.update({"model.norm.weight": norm}))
    with pytest.raises(ConversionError, match=r"model\.norm\.weight has values that are not fin"):
        convert(released, tmp_path / "out", dtype="float16")
    assert not (tmp_path / "out").exists()
    convert(released, tmp_path / "out")


def test_no_image_newline(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r", "v1.6-vicuna", shards=1)
    rewrite(released, lambda tensors: tensors.pop("model.image_newline"))
    assert "lacks the weight model.image_newline" in convert_error(released, tmp_path / "out")


def test_no_weights_at_all(single: WrittenRelease, tmp_path: Path) -> None:
    (single.path / "model.safetensors").unlink()
    (single.path / "mm_projector.bin").unlink()
    assert f"{single.path} has no weights" in convert_error(single, tmp_path / "out")


def test_no_config(single: WrittenRelease, tmp_path: Path) -> None:
    file = single.path / "config.json"
    file.write_text("{")
    assert f"{file} cannot be read as JSON" in convert_error(single, tmp_path / "out")
    file.write_text("[]")
    assert f"{file} does not hold a JSON object" in convert_error(single, tmp_path / "out")
    file.unlink()
    assert f"{single.path} has no config.json" in convert_error(single, tmp_path / "out")


def test_an_index_without_a_map(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r")
    index = released.path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"metadata": {}}))
    assert f"{index} has no weight_map" in convert_error(released, tmp_path / "out")


def test_an_index_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r")
    index = released.path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../../secret.bin"}}))
    assert "lacks the shard secret.bin" in convert_error(released, tmp_path / "out")


def test_an_existing_folder_is_not_touched(single: WrittenRelease, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").touch()
    assert f"{out} exists already" in convert_error(single, out)
    assert [file.name for file in out.iterdir()] == ["mine"]


def test_an_interrupt_leaves_nothing_behind(
    single: WrittenRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversion = plan_conversion(single.path, single.tower, None, None, None)
    before = sorted(tmp_path.iterdir())

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_conversion(conversion, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before
