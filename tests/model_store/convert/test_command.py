"""`convert` on the command line, and how it writes."""

import json
import shutil
from pathlib import Path

import pytest
import typer
from safetensors import safe_open
from typer.testing import CliRunner

from model_store.convert.command import convert
from model_store.convert.conversion import DTYPES, plan_conversion
from model_store.convert.writer import write_weights
from model_store.errors import ConversionError, UnknownModel
from model_store.manifest import read_manifest
from model_store.store import find_model
from model_store.verification import verify
from tests.model_store.convert.conversion import read_converted
from tests.model_store.released import write_released


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(convert)
    return app


def test_it_prints_its_choices_and_writes(tmp_path: Path, app: typer.Typer) -> None:
    released = write_released(tmp_path / "r", "v1.5", "lora")
    out = tmp_path / "models" / "llava"
    arguments = [released.path, "--vision-tower", released.tower, "--base", released.base]
    result = CliRunner().invoke(app, [*map(str, arguments), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "a LoRA, float16" in result.output
    assert "vicuna_v1 (the release is called llava-v1.5-7b-lora)" in result.output
    assert f"written:      {out}" in result.output
    assert {file.name for file in out.iterdir()} == {
        "config.json",
        "generation_config.json",
        "manifest.json",
        "model.safetensors",
        "preprocessor_config.json",
        "processor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert out.stat().st_mode & 0o777 == 0o755
    assert verify(out) == []
    assert (read_manifest(out).name, read_manifest(out).conv_mode) == ("llava", "vicuna_v1")


def test_names_in_the_store_will_do(
    tmp_path: Path, app: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAVA_STORE", str(tmp_path / "store"))
    released = write_released(tmp_path / "r", "v1.5")
    assert released.tower is not None
    config = json.loads((released.path / "config.json").read_text())
    shutil.copytree(released.tower, tmp_path / "store" / config["mm_vision_tower"])
    pulled = tmp_path / "store" / "liuhaotian" / "llava-v1.5-7b"
    shutil.copytree(released.path, pulled)
    result = CliRunner().invoke(app, ["liuhaotian/llava-v1.5-7b"])
    assert result.exit_code == 0, result.output
    assert find_model("llava-v1.5-7b") == tmp_path / "store" / "llava-v1.5-7b"


def test_options_override(tmp_path: Path, app: typer.Typer) -> None:
    released = write_released(tmp_path / "r")
    options = ["--conv-mode", "llava_v0", "--dtype", "bfloat16", "--out", str(tmp_path / "out")]
    arguments = [str(released.path), "--vision-tower", str(released.tower), *options]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    converted = read_converted(tmp_path / "out")
    assert converted.config["conv_mode"] == "llava_v0"
    assert converted.config["dtype"] == "bfloat16"
    assert {str(tensor.dtype) for tensor in converted.tensors.values()} == {"torch.bfloat16"}


def test_a_release_that_is_not_there_is_named(tmp_path: Path, app: typer.Typer) -> None:
    arguments = [str(tmp_path / "nothing"), "--out", str(tmp_path / "out")]
    with pytest.raises(UnknownModel, match="nothing"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r")
    weights = plan_conversion(released.path, released.tower, None, None, None).weights
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(ConversionError, match=r"model\.safetensors cannot be written"):
        write_weights(weights, tmp_path, DTYPES["float16"])


def test_large_models_are_written_in_shards(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r")
    weights = plan_conversion(released.path, released.tower, None, None, None).weights
    limit = 200_000
    write_weights(weights, tmp_path, DTYPES["float16"], shard_bytes=limit)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == weights.keys()
    files = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(files) > 2
    assert files[0].name == f"model-00001-of-{len(files):05}.safetensors"
    total = 0
    for file in files:
        with safe_open(file, framework="pt") as content:
            for name in content.keys():  # noqa: SIM118 - not a dict
                assert index["weight_map"][name] == file.name
                total += content.get_tensor(name).nbytes
        assert file.stat().st_size < limit + 20_000
    assert index["metadata"]["total_size"] == total
