"""Where the vision tower runs."""

import pytest
import torch

from server.checkpoint.config import CheckpointError
from server.devices import choose_accelerator, choose_vision_device
from server.settings import Settings


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have PyTorch tell of two GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("vision_device", "device"),
    [
        (None, torch.device("cuda", 0)),
        ("cuda", torch.device("cuda", 0)),
        ("cuda:1", torch.device("cuda", 1)),
        ("cpu", torch.device("cpu")),
    ],
)
def test_the_tower_runs_on_the_first_gpu_or_where_it_is_told(
    vision_device: str | None, device: torch.device
) -> None:
    settings = Settings(vision_device=vision_device)
    assert choose_accelerator(settings) == "cuda"
    assert choose_vision_device(settings) == device


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(CheckpointError, match="--vision-device cuda:2: this machine shows 2 GPUs"):
        choose_vision_device(Settings(vision_device="cuda:2"))


def test_a_gpu_that_was_not_named_is_for_pytorch_to_miss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_vision_device(Settings(accelerator="cuda")) == torch.device("cuda", 0)


def test_without_a_gpu_it_runs_on_the_cpu() -> None:
    assert choose_vision_device(Settings(accelerator="cpu")) == torch.device("cpu")
