"""Both stages from the command line: checked data, resumed runs, adapters, several processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from glob import escape, glob
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from server.checkpoint.config import read_checkpoint
from server.images.decode.decode import DecodedImage, DecodeOptions, decode
from server.images.vision.weights import load_vision_model
from tests.training.tuning.fixtures import INPUTS, make_reader, write_qwen2
from training.saved_state import find_last_checkpoint
from training.tuning.command import main
from training.tuning.loading import load_model
from training.tuning.sources import PROJECTOR_FILE, Sources

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
SOURCES = (
    *("--vision-tower", str(INPUTS / "tower")),
    *("--language-model", str(INPUTS / "llama")),
)
IMAGES = ("--images", str(INPUTS / "images"))
CAPTIONS = ("--data", str(INPUTS / "captions.json"), *IMAGES)
RECORDS = ("--data", str(INPUTS / "data.json"), *IMAGES)
SMALL = ("--batch-size", "8", "--workers", "0", "--dtype", "float32")


def run_stage(
    stage: str, *options: str | Path, launcher: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run `llava-server train` to its end."""
    command = [sys.executable, *launcher, "-m", "training", stage, *map(str, options)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=240)


def train_stage(stage: str, *options: str | Path, launcher: tuple[str, ...] = ()) -> str:
    """Run a stage that must succeed; return what it printed."""
    run = run_stage(stage, *options, launcher=launcher)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def read_losses(work: Path) -> dict[int, float]:
    """Return the losses of a run's last checkpoint by step."""
    (folder,) = work.glob("checkpoint-*")
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return {each["step"]: each["loss"] for each in history if "loss" in each}


def read_weights(out: Path, prefix: str) -> dict[str, torch.Tensor]:
    """Return a checkpoint's weights of a part."""
    weights = load_file(out / "model.safetensors")
    return {name: each for name, each in weights.items() if name.startswith(prefix)}


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train stage 1."""
    out = tmp_path_factory.mktemp("align") / "aligned"
    train_stage("align", *SOURCES, *CAPTIONS, *SMALL, "--out", out)
    return out


def test_alignment_trains_the_projector_alone(aligned: Path) -> None:
    checkpoint = read_checkpoint(aligned)
    assert checkpoint.text.conv_mode == "plain"
    assert checkpoint.image.aspect_ratio == "square"
    source = load_file(INPUTS / "llama" / "model.safetensors")
    trained = read_weights(aligned, "language_model.")
    layer = "model.layers.0.mlp.up_proj.weight"
    torch.testing.assert_close(trained[f"language_model.{layer}"], source[layer].float())
    assert "stage 1" in (aligned / "README.md").read_text()
    assert (aligned / "losses.png").stat().st_size > 1000


def test_instruction_tuning_goes_on_from_the_projector(aligned: Path, tmp_path: Path) -> None:
    train_stage(
        "instruct",
        *("--model", aligned, *RECORDS, *SMALL, "--out", tmp_path / "tuned"),
        *("--learning-rate", "1e-3", "--gradient-checkpointing", "--group-by-modality-length"),
        *("--eval-data", INPUTS / "data52.json", "--eval-steps", "4"),
        *("--report-to", "tensorboard"),
    )
    assert list((tmp_path / "tuned.work").rglob("events.out.tfevents.*"))
    checkpoint = read_checkpoint(tmp_path / "tuned")
    assert (checkpoint.text.conv_mode, checkpoint.image.aspect_ratio) == ("vicuna_v1", "pad")
    before, after = (read_weights(each, "") for each in (aligned, tmp_path / "tuned"))
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert any(name.startswith("language_model.") for name in changed)
    assert any(name.startswith("multi_modal_projector.") for name in changed)
    assert not any(name.startswith("vision_tower.") for name in changed)


@pytest.mark.parametrize(("kind", "num_layers"), [("mlp0x_gelu", 1), ("mlp3x_gelu", 3)])
def test_projectors_of_any_depth_are_served(kind: str, num_layers: int, tmp_path: Path) -> None:
    given = (*SOURCES, *CAPTIONS, *SMALL, "--mm-projector-type", kind, "--max-steps", "1")
    assert main("align", [*given, "--out", str(tmp_path / "out")], "train") == 0
    checkpoint = read_checkpoint(tmp_path / "out")
    assert checkpoint.vision.projector.num_layers == num_layers
    sources = Sources(INPUTS / "tower", INPUTS / "llama", kind, tmp_path / "out" / PROJECTOR_FILE)
    reader, file = make_reader("square"), INPUTS / "images" / "00.png"
    decoded = decode(file.read_bytes(), DecodeOptions(reader.size, "square", 10**9))
    assert isinstance(decoded, DecodedImage)
    with torch.inference_mode():
        trained = load_model(sources, torch.float32, 0).eval()
        embeds = trained.embed_images(reader.read(file.name).pixel_values)
        served = load_vision_model(checkpoint, torch.device("cpu"), torch.float32)
        torch.testing.assert_close(served(torch.tensor(decoded.views)), embeds)


def kill_after_checkpoint(stage: str, *options: str | Path, out: Path) -> None:
    """Kill a run after its first checkpoint."""
    command = [sys.executable, "-m", "training", stage, *map(str, options), "--out", str(out)]
    saved = f"{escape(str(out))}.work/checkpoint-*/trainer_state.json"
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
        # Not `Path.glob`: it fails where a folder goes while it looks, and this one is tried first.
        while not glob(saved):
            assert process.poll() is None, "the run ended before it was killed"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)


def kill_and_resume(stage: str, *options: str | Path, out: Path) -> None:
    """Kill a run after its first checkpoint, and train the rest of it."""
    kill_after_checkpoint(stage, *options, out=out)
    train_stage(stage, *options, "--out", out, "--resume")


def expect_equal_runs(one: Path, other: Path, num_steps: int) -> None:
    """Check that two runs had the same losses and ended with the same weights."""
    first, second = (read_losses(out.with_name(f"{out.name}.work")) for out in (one, other))
    assert first.keys() == second.keys() == set(range(1, num_steps + 1))
    assert second == pytest.approx(first, abs=1e-6)
    expected, trained = read_weights(one, ""), read_weights(other, "")
    for name, weight in expected.items():
        torch.testing.assert_close(trained[name], weight, atol=1e-6, rtol=0)


def test_a_killed_run_goes_on_to_the_same_loss(aligned: Path, tmp_path: Path) -> None:
    options = ("--model", aligned, *RECORDS, *SMALL, "--save-steps", "2", "--epochs", "3")
    train_stage("instruct", *options, "--out", tmp_path / "whole")
    kill_and_resume("instruct", *options, out=tmp_path / "cut")
    expect_equal_runs(tmp_path / "whole", tmp_path / "cut", 24)


def test_a_killed_run_as_released_goes_on_in_its_order(aligned: Path, tmp_path: Path) -> None:
    data = ("--data", INPUTS / "data52.json", *IMAGES, *SMALL, "--per-device-batch-size", "4")
    options = ("--model", aligned, *data, "--as-released", "--save-steps", "5", "--epochs", "2")
    train_stage("instruct", *options, "--out", tmp_path / "whole")
    kill_and_resume("instruct", *options, out=tmp_path / "cut")
    expect_equal_runs(tmp_path / "whole", tmp_path / "cut", 12)  # of 26 micro-batches, 24


def test_a_checkpoint_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    for step, state in ((2, "{}"), (10, "{}"), (12, '{"step": '), (14, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    assert find_last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert find_last_checkpoint(tmp_path / "none") is None


def test_a_work_folder_belongs_to_one_run(aligned: Path, tmp_path: Path) -> None:
    options = ("--model", aligned, *RECORDS, *SMALL, "--max-steps", "1", "--out", tmp_path / "out")
    (tmp_path / "out.work" / "checkpoint-1").mkdir(parents=True)
    assert "holds an earlier run" in run_stage("instruct", *options).stderr
    (tmp_path / "out.work" / "recipe.json").write_text("{}")
    run = run_stage("instruct", *options, "--resume")
    assert "holds a run that differs in as_released, batch_size" in run.stderr


def test_a_tower_is_trained_up_to_the_state_that_is_used(aligned: Path, tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    options = ("--model", aligned, *RECORDS, *SMALL, "--max-steps", "2", "--learning-rate", "1e-2")
    train_stage(
        "instruct",
        *(*options, "--unfreeze-vision-tower", "--out", tmp_path / "out"),
        launcher=launcher,
    )
    before, after = (read_weights(each, "vision_tower.") for each in (aligned, tmp_path / "out"))
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert any(".layers.1." in name for name in changed)
    assert not any(".layers.2." in name for name in changed)  # of three; the last is not used


def test_qwen2_is_trained_and_read(tmp_path: Path) -> None:
    language = write_qwen2(tmp_path / "qwen2")
    sources = ("--vision-tower", INPUTS / "tower", "--language-model", language)
    train_stage("align", *sources, *CAPTIONS, *SMALL, "--out", tmp_path / "aligned")
    train_stage(
        "instruct", "--model", tmp_path / "aligned", *RECORDS, *SMALL, "--out", tmp_path / "tuned"
    )
    checkpoint = read_checkpoint(tmp_path / "tuned")
    assert (checkpoint.text.language_model, checkpoint.text.conv_mode) == ("qwen2", "qwen_1_5")


def test_adapters_are_written_beside_the_model_or_merged(aligned: Path, tmp_path: Path) -> None:
    options = ("--model", aligned, *RECORDS, *SMALL, "--lora", "--lora-r", "4", "--bf16")
    train_stage("instruct", *options, "--max-steps", "3", "--out", tmp_path / "apart")
    config = json.loads((tmp_path / "apart" / "adapter" / "adapter_config.json").read_text())
    assert config["r"] == 4
    before, after = (
        read_weights(each, "language_model.") for each in (aligned, tmp_path / "apart")
    )
    assert all(torch.equal(after[name], before[name]) for name in before)
    train_stage(
        "instruct", *options, "--max-steps", "3", "--merge-lora", "--out", tmp_path / "merged-delta"
    )
    merged = read_weights(tmp_path / "merged-delta", "language_model.")
    assert any(not torch.equal(merged[name], before[name]) for name in before)
    assert not (tmp_path / "merged-delta" / "adapter").exists()


def test_two_processes_train_as_one(aligned: Path, tmp_path: Path) -> None:
    options = ("--model", aligned, *RECORDS, *SMALL, "--max-steps", "4", "--save-steps", "4")
    train_stage("instruct", *options, "--out", tmp_path / "one")
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    train_stage("instruct", *options, "--out", tmp_path / "two", launcher=launcher)
    one, two = (read_losses(tmp_path / f"{name}.work") for name in ("one", "two"))
    assert two == pytest.approx(one, abs=1e-4)


def test_bad_records_end_a_run_before_it_begins(tmp_path: Path) -> None:
    records: list[Any] = json.loads((INPUTS / "captions.json").read_text())[:12]
    records[3]["image"] = "missing.png"
    records[5]["conversations"][1]["value"] = ""
    data = tmp_path / "data.json"
    data.write_text(json.dumps(records))
    options = (*SOURCES, "--data", data, *IMAGES, *SMALL, "--out", tmp_path / "out")
    run = run_stage("align", *options)
    assert run.returncode == 1
    assert f"{data}, record 4: the image" in run.stderr
    assert f"{data}, record 6: turn 2 is empty" in run.stderr
    assert (
        "error: 2 of 12 records of --data are bad; --skip-bad-records trains the others"
        in run.stderr
    )
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()
    printed = train_stage("align", *options, "--skip-bad-records", "--check-only")
    assert "10 good records, 2 bad ones left out" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--language-model", INPUTS / "tower"), "is a model of type clip_vision_model"),
        (("--vision-tower", INPUTS / "llama"), "is not a CLIP vision tower"),
        (("--mm-projector-type", "conv"), "there is no projector of the type 'conv'"),
        (("--mm-projector", INPUTS / "captions.json"), "is not a projector"),
        (("--data", INPUTS / "none.json"), "--data "),
        (("--batch-size", "9", "--per-device-batch-size", "2"), "is not a multiple of"),
        (("--out", INPUTS), "exists already"),
        (("--conv-mode", "none"), "--conv-mode 'none' cannot be trained; supported: vicuna_v1, "),
        (("--mm-vision-select-layer", "-9"), "the tower has 3 layers, so that is -4 to 3"),
        (("--warmup-ratio", "1"), "must be at least 0 and below 1"),
        (("--batch-size", "0"), "--batch-size 0 must be at least 1"),
    ],
)
def test_mistakes_are_told(
    options: tuple[Any, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (*SOURCES, *CAPTIONS, *SMALL, "--out", tmp_path / "out", *options)
    assert main("align", list(map(str, given)), "train") == 1
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--lora", "--freeze-language-model"), "--freeze-language-model does not"),
        (("--merge-lora",), "--merge-lora needs --lora"),
        (("--model", INPUTS), "is not a checkpoint: no config.json"),
        (("--model", INPUTS, "--mm-projector", INPUTS), "leave out --mm-projector"),
        ((), "--vision-tower and --language-model are needed"),
    ],
)
def test_contradictions_are_told(
    options: tuple[Any, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (*RECORDS, *SMALL, "--out", tmp_path / "out", *options)
    assert main("instruct", list(map(str, given)), "train") == 1
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    records: list[Any] = json.loads((INPUTS / "captions.json").read_text())[:8]
    whole = (INPUTS / "images" / records[2]["image"]).read_bytes()
    records[2]["image"] = "broken.png"
    (tmp_path / "broken.png").write_bytes(whole[: len(whole) // 2])
    for record in records:
        source = INPUTS / "images" / record["image"]
        if source.is_file():
            (tmp_path / record["image"]).write_bytes(source.read_bytes())
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(map(json.dumps, records)))
    options = ("--data", data, "--images", tmp_path, "--batch-size", "4", "--workers", "2")
    run = run_stage("align", *SOURCES, *options, "--out", tmp_path / "out")
    assert run.returncode == 1
    (error,) = re.findall("error: .*", run.stderr)
    assert error.startswith(f"error: {data}, line 3: the image {tmp_path / 'broken.png'}")
    assert "Traceback" not in run.stderr
