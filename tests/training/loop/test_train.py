"""Training from end to end, a few steps of each stage."""

import json
import subprocess
import sys
from pathlib import Path

from model_store.verification import verify


def test_a_quick_run_writes_a_model_and_resumes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training", "tiny", "--quick", "--resume"]
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
