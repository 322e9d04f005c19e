"""The memory that images take in the engine's process, and what a chat's history costs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# What an allocator may keep and give back between two looks, in MiB: four images.
SLACK_MIB = 18


def measure(folder: Path, num_images: int) -> dict[str, Any]:
    """Run the program; return its figures."""
    (folder / "checkpoint").mkdir()
    program = [sys.executable, "-m", "tests.server.engine.memory_program"]
    arguments = [str(folder / "checkpoint"), str(folder / "figures.json"), str(num_images)]
    run = subprocess.run([*program, *arguments], capture_output=True, text=True, timeout=290)
    assert run.returncode == 0, run.stderr
    figures: dict[str, Any] = json.loads((folder / "figures.json").read_bytes())
    return figures


@pytest.mark.slow
def test_a_thousand_images_of_a_7b_model(tmp_path: Path) -> None:
    figures = measure(tmp_path, 1000)
    # It grows no more once the cache is full, well before half of the run. A single look may
    # meet buffers of requests that are on their way.
    memory = figures["memory"]
    assert min(memory[-2:]) - memory[3] < SLACK_MIB, memory
    # A turn sends its own image and leaves the history out.
    assert figures["chat"] == [1] * 8
    # An image that the engine only seemed to hold was sent in a second try.
    assert figures["missed"] == figures["sent"]
