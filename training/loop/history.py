"""The losses of the stages, from their checkpoints."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from training.saved_state import find_last_checkpoint


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return what a stage logged until its last checkpoint: `step`, `loss`, `seconds` and more."""
    checkpoint = find_last_checkpoint(folder)
    if checkpoint is None:
        return []
    history = json.loads((checkpoint / "trainer_state.json").read_text())["log_history"]
    return [each for each in history if "loss" in each]


def count_seconds(history: Sequence[dict[str, Any]]) -> float:
    """Return how long a stage was trained."""
    return float(history[-1]["seconds"]) if history else 0.0


def plot_losses(work_dir: Path, stages: Sequence[str], path: Path) -> None:
    """Plot each stage's losses over its steps, side by side, from its checkpoint in `work_dir`."""
    figure = Figure(figsize=(3.2 * len(stages), 3), layout="constrained")
    for axes, stage in zip(figure.subplots(1, len(stages)), stages, strict=True):
        history = read_history(work_dir / stage)
        axes.plot([each["step"] for each in history], [each["loss"] for each in history], lw=0.8)
        axes.set(title=stage, xlabel="step", ylabel="loss", yscale="log")
    figure.savefig(path, dpi=110)
