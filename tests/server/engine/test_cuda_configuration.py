"""The engine's arguments make a configuration that vLLM accepts for GPUs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server.checkpoint.config import Checkpoint

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def configurations(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """Return what a process of its own prints for one and for two GPUs."""
    program = "tests.server.engine.cuda_program"
    printed = subprocess.run(
        [sys.executable, "-m", program, str(checkpoint.path), "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert printed.returncode == 0, printed.stderr
    return [json.loads(line) for line in printed.stdout.splitlines() if line.startswith("{")]


def test_one_gpu(configurations: list[dict[str, Any]]) -> None:
    assert configurations[0] == {
        "device": "cuda",
        "gpu_memory_utilization": 0.92,
        "block_size": 16,
        "executor": "uni",
        "tensor_parallel_size": 1,
        "dtype": "torch.bfloat16",
        "graphs": "FULL_AND_PIECEWISE",
        "max_model_len": 2048,
    }


def test_two_gpus(configurations: list[dict[str, Any]]) -> None:
    one, two = configurations
    assert two == one | {"executor": "mp", "tensor_parallel_size": 2}
