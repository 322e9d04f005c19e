"""Training from end to end, a few steps of each stage."""

import json
import os
import subprocess
import sys
from pathlib import Path

from model_store.verification import verify


def train(folder: Path) -> None:
    """Train a few steps of each stage that is not complete.

    Under load, threads of PyTorch that wait for each other take three times the CPU time.
    """
    command = [sys.executable, "-m", "training", "tiny", "--quick", "--resume"]
    paths = ["--work", str(folder / "work"), "--out", str(folder / "out")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [*command, *paths], capture_output=True, text=True, check=False, env=environment
    )
    assert run.returncode == 0, run.stderr


def test_a_quick_run_writes_a_model_and_resumes(tmp_path: Path) -> None:
    train(tmp_path)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["model_type"] == "llava"
    for file in ("losses.png", "scores.json", "README.md", "manifest.json"):
        assert (tmp_path / "out" / file).stat().st_size > 0
    assert verify(tmp_path / "out") == []
    weights = (tmp_path / "out" / "model.safetensors").read_bytes()
    train(tmp_path)
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == weights
