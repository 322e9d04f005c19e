"""The engine's share of a GPU, and the sum for a model that does not fit."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from server.checkpoint.config import Checkpoint, CheckpointError, read_checkpoint
from server.engine.start_failure import describe_error, find_cause
from server.gpu_memory import GIB, MAX_SHARE, choose_gpu_share, compute_needs, compute_share
from server.settings import Settings
from tests.server.checkpoint.checkpoint_files import write_checkpoint_files

# LLaVA-1.5-7B's weights in float16.
FILE_BYTES = 14_126_000_000
CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """Return LLaVA-1.5-7B as published, but for the content of its weights' file."""
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(FILE_BYTES)
    return read_checkpoint(write_checkpoint_files(tmp_path))


def fake_gpus(monkeypatch: pytest.MonkeyPatch, *gib: float) -> None:
    """Have PyTorch tell of GPUs with so much memory."""
    gpus = [SimpleNamespace(total_memory=int(each * GIB)) for each in gib]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(gpus))
    monkeypatch.setattr(torch.cuda, "get_device_properties", gpus.__getitem__)


def choose(checkpoint: Checkpoint, vision: torch.device = CUDA, **settings: Any) -> float:
    return choose_gpu_share(Settings(**settings), checkpoint, CUDA, vision)


def test_the_sizes_are_those_of_the_checkpoint(checkpoint: Checkpoint) -> None:
    needs = compute_needs(Settings(), checkpoint, has_tower=True)
    assert needs.token == 512 * 1024
    assert needs.weights == pytest.approx(12.55 * GIB, rel=0.01)
    assert needs.vision == pytest.approx(1.02 * GIB, rel=0.01)


@pytest.mark.parametrize(
    ("settings", "token", "weights"),
    [
        ({"kv_cache_dtype": "fp8"}, 256, 12.55),
        ({"tensor_parallel_size": 2}, 256, 6.28),
        ({"dtype": "float32"}, 1024, 25.1),
        ({"quantization": "fp8"}, 512, 6.28),
    ],
)
def test_settings_that_change_the_sizes(
    settings: dict[str, Any], token: int, weights: float, checkpoint: Checkpoint
) -> None:
    needs = compute_needs(Settings(**settings), checkpoint, has_tower=False)
    assert needs.token == token * 1024
    assert needs.weights == pytest.approx(weights * GIB, rel=0.01)
    assert needs.vision == 0


@pytest.mark.parametrize(
    ("gib", "share"), [(16, 0.83), (24, 0.89), (47.5, 0.92), (79.2, 0.92), (139.8, 0.92)]
)
def test_the_tower_is_left_its_room(gib: float, share: float) -> None:
    assert compute_share(int(gib * GIB), int(1.02 * GIB)) == share
    assert gib * (1 - share) > 1.02 + 0.6  # the tower, and a CUDA context


def test_the_default_share(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gpus(monkeypatch, 24)
    assert choose(checkpoint) == 0.89
    assert choose(checkpoint, vision_cuda_graphs=True) == 0.87
    assert choose(checkpoint, vision=torch.device("cuda", 1)) == MAX_SHARE
    assert choose(checkpoint, vision=CPU) == MAX_SHARE
    assert choose(checkpoint, gpu_memory_utilization=0.8) == 0.8


def test_the_smallest_gpu_decides(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gpus(monkeypatch, 80, 16, 8)
    assert choose(checkpoint, tensor_parallel_size=2) == 0.83


def test_on_a_cpu_nothing_is_counted(checkpoint: Checkpoint) -> None:
    assert choose_gpu_share(Settings(), checkpoint, CPU, CPU) == MAX_SHARE


def test_a_context_that_does_not_fit(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_gpus(monkeypatch, 24)
    with pytest.raises(CheckpointError) as raised:
        choose(checkpoint, max_model_len=20_000)
    message = str(raised.value)
    assert "a GPU of 24.0 GiB: the engine's share of 89% is 21.4 GiB (1.0 GiB are for" in message
    assert "12.6 GiB for weights, at least 0.5 GiB of work space and 9.8 GiB of KV" in message
    longest = int(message.partition("take --max-model-len ")[2].split()[0])
    assert choose(checkpoint, max_model_len=longest) == 0.89
    with pytest.raises(CheckpointError):
        choose(checkpoint, max_model_len=longest + 1)


def test_weights_that_do_not_fit(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gpus(monkeypatch, 12)
    with pytest.raises(CheckpointError, match=r"--quantization fp8, more GPUs .* or a larger one"):
        choose(checkpoint)
    assert choose(checkpoint, quantization="fp8") == 0.78


def test_without_a_gpu_the_cause_is_known(checkpoint: Checkpoint) -> None:
    """On a machine whose GPU has a device but no driver, for example."""
    with pytest.raises((AssertionError, RuntimeError)) as raised:
        choose(checkpoint)
    assert "no GPU found" in (find_cause(describe_error(raised.value)) or "")
