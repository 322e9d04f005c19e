"""The recipe from end to end, a few steps of each stage."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from model_store.verification import verify
from training.loop import training_loop
from training.loop.loss_log import read_log
from training.loop.plan import FULL, STAGES
from training.loop.stage_config import StageConfig
from training.loop.training_loop import run_training_loop


def test_a_quick_run_writes_a_model_and_resumes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training", "--quick", "--resume"]
    paths = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    first = subprocess.run([*command, *paths], capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    assert json.loads((tmp_path / "out" / "config.json").read_text())["model_type"] == "llava"
    for file in ("losses.png", "scores.json", "README.md", "manifest.json"):
        assert (tmp_path / "out" / file).stat().st_size > 0
    assert verify(tmp_path / "out") == []
    weights = (tmp_path / "out" / "model.safetensors").read_bytes()
    second = subprocess.run([*command, *paths], capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == weights


def test_a_scaled_plan_is_shorter_in_everything() -> None:
    plan = FULL.scale(0.05)
    assert plan.train_scenes == FULL.train_scenes // 20
    for stage in STAGES:
        config = plan.get_stage_config(stage)
        assert config.steps == FULL.get_stage_config(stage).steps // 20
        assert config.warmup_steps < config.steps


class Mirror:
    """A stage that learns to mirror its input; it can be cut off before a step."""

    config = StageConfig(steps=12, batch_size=8, learning_rate=0.1, warmup_steps=2, report_every=4)

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir

    def learn(self, cut_before: int | None = None) -> torch.Tensor:
        """Train from where the stage stands; return the weights."""
        torch.manual_seed(0)
        layer = torch.nn.Linear(4, 4)
        module = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([layer])})

        def compute_loss(step: int) -> torch.Tensor:
            if step == cut_before:
                raise KeyboardInterrupt
            inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
            loss: torch.Tensor = (layer(inputs) - inputs.flip(1)).square().mean()
            return loss

        with suppress(KeyboardInterrupt):
            run_training_loop(
                "mirror", module, compute_loss, self.config, self._work_dir, lambda: ""
            )
        return layer.weight.detach().clone()


def test_a_stage_goes_on_as_if_it_had_not_been_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_loop, "_CHECKPOINT_SECONDS", 0.0)
    whole = Mirror(tmp_path / "whole").learn()
    interrupted = Mirror(tmp_path / "interrupted")
    interrupted.learn(cut_before=3)
    interrupted.learn(cut_before=11)
    torch.testing.assert_close(interrupted.learn(), whole, rtol=0, atol=0)
    logs = [read_log(tmp_path / name / "mirror.jsonl") for name in ("whole", "interrupted")]
    assert [line["step"] for line in logs[1]] == [line["step"] for line in logs[0]] == [10]
