"""A stage in transformers' Trainer: an interrupted one resumes, several processes share batches."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.loop.mirror import Mirror
from training.loop import trainer
from training.loop.history import count_seconds, read_history
from training.loop.optimizer import MuonWithAdamW


def test_an_interrupted_stage_resumes_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "_SAVE_STEPS", 5)
    whole, cut = Mirror(tmp_path / "whole"), Mirror(tmp_path / "cut")
    weights = whole.train()
    assert not torch.equal(cut.train(interrupt_at=3), weights)  # before the first checkpoint
    assert not torch.equal(cut.train(interrupt_at=11), weights)  # after the one of step 10
    torch.testing.assert_close(cut.train(), weights, rtol=0, atol=0)
    assert whole.reports == 3
    histories = [read_history(tmp_path / name / "mirror") for name in ("whole", "cut")]
    assert [[each["step"] for each in history] for history in histories] == [[10, 20], [10, 20]]
    assert histories[0][1]["loss"] == histories[1][1]["loss"]


def test_a_complete_stage_loads_its_weights(tmp_path: Path) -> None:
    weights = Mirror(tmp_path).train()
    again = Mirror(tmp_path)
    torch.testing.assert_close(again.train(), weights, rtol=0, atol=0)
    assert (again.batches, again.reports) == ([], 0)
    assert count_seconds(read_history(tmp_path / "missing")) == 0


def test_loaded_optimizers_follow_the_schedule() -> None:
    layer = torch.nn.Linear(4, 4)
    module = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([layer])})
    optimizer = MuonWithAdamW(module, 0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step)
    optimizer.load_state_dict(optimizer.state_dict())
    before = layer.weight.detach().clone()
    for moves in (True, False):  # the rate of the second step is 0
        layer(torch.ones(4)).sum().backward()
        optimizer.step()
        schedule.step()
        assert torch.equal(layer.weight, before) is not moves
        before = layer.weight.detach().clone()


def test_two_processes_share_the_batches(tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    command = [sys.executable, *launcher, "-m", "tests.training.loop.mirror", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert first["batches"] == list(range(0, 48, 2))
    assert second["batches"] == list(range(1, 48, 2))
    torch.testing.assert_close(first["weights"], second["weights"], rtol=0, atol=0)
    assert (first["reports"], second["reports"]) == (3, 0)
