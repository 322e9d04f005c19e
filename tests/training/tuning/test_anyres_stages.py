"""Both stages on tiles from the command line."""

from pathlib import Path
from typing import Any, Final

import pytest
import torch
from safetensors.torch import load_file

from server.checkpoint.config import read_checkpoint
from tests.training.tuning.fixtures import INPUTS, write_qwen2
from tests.training.tuning.test_stages import (
    CAPTIONS,
    IMAGES,
    RECORDS,
    SMALL,
    SOURCES,
    expect_equal_runs,
    kill_and_resume,
    read_losses,
    read_weights,
    train_stage,
)
from training.tuning.command import main
from training.tuning.sources import PROJECTOR_FILE

ANYRES: Final = ("--image-aspect-ratio", "anyres")


def read_newline(out: Path) -> torch.Tensor:
    """Return the newline of a checkpoint, which is the same in both files."""
    newline = load_file(out / "model.safetensors")["image_newline"]
    assert torch.equal(load_file(out / PROJECTOR_FILE)["image_newline"], newline)
    return newline


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train stage 1."""
    out = tmp_path_factory.mktemp("align") / "aligned"
    train_stage("align", *SOURCES, *CAPTIONS, *SMALL, *ANYRES, "--out", out)
    return out


def test_both_stages_train_the_newline_at_the_projectors_rate(
    aligned: Path, tmp_path: Path
) -> None:
    train_stage(
        "instruct",
        *("--model", aligned, *RECORDS, *SMALL, *ANYRES, "--out", tmp_path / "tuned"),
        *("--learning-rate", "0", "--mm-projector-lr", "1e-3", "--gradient-checkpointing"),
        *("--group-by-modality-length", "--bf16"),
        *("--eval-data", INPUTS / "data52.json", "--eval-steps", "4"),
    )
    for out, conv_mode in ((aligned, "plain"), (tmp_path / "tuned", "vicuna_v1")):
        checkpoint = read_checkpoint(out)
        assert (checkpoint.text.model_type, checkpoint.text.conv_mode) == ("llava_next", conv_mode)
        assert (checkpoint.image.aspect_ratio, checkpoint.image.size) == ("anyres", 56)
        assert checkpoint.image.grid_pinpoints[0] == (56, 112)
        assert checkpoint.vision.patch_merge == "spatial_unpad"
    before, after = (read_weights(out, "") for out in (aligned, tmp_path / "tuned"))
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert "image_newline" in changed
    assert {name.partition(".")[0] for name in changed - {"image_newline"}} == {
        "multi_modal_projector"
    }
    assert read_newline(aligned).shape == read_newline(tmp_path / "tuned").shape == (64,)


def test_a_killed_run_goes_on_to_the_same_loss(aligned: Path, tmp_path: Path) -> None:
    options = ("--model", aligned, *RECORDS, *SMALL, *ANYRES, "--save-steps", "2", "--epochs", "2")
    train_stage("instruct", *options, "--out", tmp_path / "whole")
    kill_and_resume("instruct", *options, out=tmp_path / "cut")
    expect_equal_runs(tmp_path / "whole", tmp_path / "cut", 16)


def test_two_processes_train_as_one_with_batches_without_images(
    aligned: Path, tmp_path: Path
) -> None:
    options = (
        *("--model", aligned, *RECORDS, *SMALL, *ANYRES, "--per-device-batch-size", "1"),
        *("--max-steps", "4", "--save-steps", "4"),
    )
    train_stage("instruct", *options, "--out", tmp_path / "one")
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    train_stage("instruct", *options, "--out", tmp_path / "two", launcher=launcher)
    one, two = (read_losses(tmp_path / f"{name}.work") for name in ("one", "two"))
    assert two == pytest.approx(one, abs=1e-4)
    torch.testing.assert_close(
        read_newline(tmp_path / "two"), read_newline(tmp_path / "one"), atol=1e-4, rtol=0
    )


def test_adapters_and_tiles_after_a_stage_of_squares(tmp_path: Path) -> None:
    train_stage(
        "align", *SOURCES, *CAPTIONS, *SMALL, "--max-steps", "1", "--out", tmp_path / "squares"
    )
    train_stage(
        "instruct",
        *("--model", tmp_path / "squares", *RECORDS, *SMALL, *ANYRES, "--max-steps", "2"),
        *("--lora", "--lora-r", "4", "--out", tmp_path / "tuned"),
        *("--image-grid-pinpoints", "[[112, 56], [56, 112]]"),
    )
    assert (tmp_path / "tuned" / "adapter" / "adapter_model.safetensors").is_file()
    assert read_checkpoint(tmp_path / "tuned").image.grid_pinpoints == ((112, 56), (56, 112))
    assert "image_newline" not in load_file(tmp_path / "squares" / "model.safetensors")
    assert read_newline(tmp_path / "tuned").std() > 0


def test_qwen2_is_trained_on_tiles_and_read(tmp_path: Path) -> None:
    language = write_qwen2(tmp_path / "qwen2")
    sources = ("--vision-tower", INPUTS / "tower", "--language-model", language)
    out = tmp_path / "aligned"
    train_stage("align", *sources, *CAPTIONS, *SMALL, *ANYRES, "--max-steps", "1", "--out", out)
    text = read_checkpoint(out).text
    assert (text.model_type, text.language_model) == ("llava_next", "qwen2")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((*ANYRES, "--image-grid-pinpoints", "[[112, 60]]"), "not multiples of the tower's 56"),
        ((*ANYRES, "--image-grid-pinpoints", "wide"), "'wide' is not a list of sizes"),
        (("--image-grid-pinpoints", "[[56, 56]]"), "needs --image-aspect-ratio anyres"),
        (("--mm-patch-merge-type", "flat"), "--mm-patch-merge-type needs --image-aspect-ratio"),
        ((*ANYRES, "--model-max-length", "30"), "all 64 records of --data are bad"),
    ],
)
def test_mistakes_are_told(
    options: tuple[Any, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", INPUTS / "captions.json", *IMAGES)
    given = (*SOURCES, *data, *SMALL, "--out", tmp_path / "out", *options)
    assert main("align", list(map(str, given)), "train") == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
