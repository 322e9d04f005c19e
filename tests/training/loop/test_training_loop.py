"""The training loop: an interrupted stage resumes."""

from contextlib import suppress
from pathlib import Path

import pytest
import torch

from training.loop import training_loop
from training.loop.loss_log import read_log
from training.loop.stage_config import StageConfig
from training.loop.training_loop import run_training_loop


class Mirror:
    """A stage that learns to mirror its input. It can be interrupted before a step."""

    config = StageConfig(steps=12, batch_size=8, learning_rate=0.1, warmup_steps=2, report_every=4)

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir

    def train(self, interrupt_before: int | None = None) -> torch.Tensor:
        """Resume the stage and return the weights."""
        torch.manual_seed(0)
        layer = torch.nn.Linear(4, 4)
        module = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([layer])})

        def compute_loss(step: int) -> torch.Tensor:
            if step == interrupt_before:
                raise KeyboardInterrupt
            inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
            loss: torch.Tensor = (layer(inputs) - inputs.flip(1)).square().mean()
            return loss

        with suppress(KeyboardInterrupt):
            run_training_loop(
                "mirror", module, compute_loss, self.config, self._work_dir, lambda: ""
            )
        return layer.weight.detach().clone()


def test_an_interrupted_stage_resumes_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_loop, "_CHECKPOINT_SECONDS", 0.0)
    uninterrupted = Mirror(tmp_path / "uninterrupted").train()
    interrupted = Mirror(tmp_path / "interrupted")
    interrupted.train(interrupt_before=3)
    interrupted.train(interrupt_before=11)
    torch.testing.assert_close(interrupted.train(), uninterrupted, rtol=0, atol=0)
    logs = [read_log(tmp_path / name / "mirror.jsonl") for name in ("uninterrupted", "interrupted")]
    assert [line["step"] for line in logs[1]] == [line["step"] for line in logs[0]] == [10]
