"""`python -m benchmarks.tower`: how fast the vision tower runs, kernel by kernel and by graphs."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import typer
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.random_checkpoint import SHAPES_FOLDER, write_on_fastest_device
from benchmarks.shapes.registry import SHAPES
from server.checkpoint.config import read_checkpoint
from server.images.vision.captured_forward import choose_sizes
from server.images.vision.graph_runner import GraphRunner
from server.images.vision.runner import EagerRunner, VisionRunner
from server.images.vision.tower import VisionModel
from server.images.vision.weights import load_vision_model

MAX_VIEWS: Final = 16
WARM_UP_S: Final = 0.5
MIN_BATCHES: Final = 3
MS: Final = 1000
TERA: Final = 1e12


@dataclass(frozen=True, slots=True)
class TowerFigures:
    """Batches of one size: median milliseconds from views to embeddings on the CPU.

    `tflops` is the rate of the matrix products, in 10^12 operations a second.
    """

    runner: str
    num_views: int
    ms: float
    tflops: float


def main(
    shape: Annotated[str, typer.Option(help="a published checkpoint's, with random weights")],
    seconds: Annotated[float, typer.Option(help="time for each size and runner")] = 2.0,
    out: Annotated[Path | None, typer.Option(help="a JSON file for the figures")] = None,
    device: Annotated[str, typer.Option(help="cuda or cpu; default: a GPU if there is one")] = "",
) -> None:
    """Measure batches of 1 to 16 views and print a line for each."""
    if shape not in SHAPES:
        raise typer.BadParameter(f"unknown: {shape}; there are {list(SHAPES)}")
    model = _load(shape, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    runners: dict[str, VisionRunner] = {
        "eager": EagerRunner(model),
        "graphs": GraphRunner(model, max_views=MAX_VIEWS),
    }
    figures = []
    for num_views in choose_sizes(MAX_VIEWS):
        operations = count_operations(model, num_views)
        for name, runner in runners.items():
            each = measure(name, runner, num_views, operations, seconds)
            print(f"{name:7} {num_views:3} views {each.ms:9.2f} ms {each.tflops:7.1f} TFLOP/s")
            figures.append(each)
    if out is not None:
        out.write_text(json.dumps([asdict(each) for each in figures], indent=2), encoding="utf-8")


def count_operations(model: VisionModel, num_views: int) -> int:
    """Return the floating-point operations of the matrix products of a batch."""
    size = model.image.size
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(num_views, size, size, 3, dtype=torch.uint8, device=model.device))
    return int(counter.get_total_flops())


def measure(
    name: str, runner: VisionRunner, num_views: int, operations: int, seconds: float
) -> TowerFigures:
    """Run batches of single views for some seconds."""
    size = runner.model.image.size
    rng = np.random.default_rng(num_views)
    items = list(rng.integers(0, 256, (num_views, 1, size, size, 3), dtype=np.uint8))

    def run() -> None:
        runner.run(items, lambda _, part: runner.model.merge(part, (size, size)), are_frames=False)

    _time(run, WARM_UP_S)
    median_s = statistics.median(_time(run, seconds))
    return TowerFigures(name, num_views, median_s * MS, operations / median_s / TERA)


def _time(run: Callable[[], None], seconds: float) -> list[float]:
    times: list[float] = []
    ends_at = time.perf_counter() + seconds
    while time.perf_counter() < ends_at or len(times) < MIN_BATCHES:
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return times


def _load(shape: str, device: str) -> VisionModel:
    checkpoint = read_checkpoint(write_on_fastest_device(SHAPES[shape], SHAPES_FOLDER))
    return load_vision_model(checkpoint, torch.device(device))


if __name__ == "__main__":
    typer.run(main)
