"""The losses of each stage: a JSON Lines file, and a plot of all stages."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

_LOG_EVERY = 10


class LossLog:
    """Writes the mean loss of every ten steps and the seconds so far, as JSON lines.

    A resumed stage drops the lines of the steps that it repeats. Only rank 0 may create one.
    """

    def __init__(self, path: Path, first_step: int) -> None:
        self._path = path
        self._losses: list[torch.Tensor] = []
        lines = [line for line in read_log(path) if line["step"] <= first_step]
        self._started = time.monotonic() - (lines[-1]["seconds"] if lines else 0)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def add(self, step: int, loss: torch.Tensor) -> None:
        self._losses.append(loss.detach())
        if step % _LOG_EVERY == 0:
            mean = torch.stack(self._losses).mean().item()
            seconds = round(time.monotonic() - self._started)
            line = {"step": step, "loss": round(mean, 5), "seconds": seconds}
            with self._path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            self._losses.clear()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read a stage's lines of `step`, `loss` and `seconds`; none if it has not started."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def plot_losses(work_dir: Path, stages: Sequence[str], path: Path) -> None:
    """Plot each stage's losses over its steps, side by side, from the logs in `work_dir`."""
    figure = Figure(figsize=(3.2 * len(stages), 3), layout="constrained")
    for axes, stage in zip(figure.subplots(1, len(stages)), stages, strict=True):
        lines = read_log(work_dir / f"{stage}.jsonl")
        axes.plot([line["step"] for line in lines], [line["loss"] for line in lines], linewidth=0.8)
        axes.set(title=stage, xlabel="step", ylabel="loss", yscale="log")
    figure.savefig(path, dpi=110)
