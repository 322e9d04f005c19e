"""A picture of the stages' losses."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from training.loop.training_loop import read_log


def plot_losses(work: Path, stages: Sequence[str], path: Path) -> None:
    """Draw each stage's losses over its steps, side by side, from the logs in `work`."""
    figure = Figure(figsize=(3.2 * len(stages), 3), layout="constrained")
    for axes, stage in zip(figure.subplots(1, len(stages)), stages, strict=True):
        lines = read_log(work / f"{stage}.jsonl")
        axes.plot([line["step"] for line in lines], [line["loss"] for line in lines], linewidth=0.8)
        axes.set(title=stage, xlabel="step", ylabel="loss", yscale="log")
    figure.savefig(path, dpi=110)
