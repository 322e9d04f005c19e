"""The memory of the GPU that the model runs on, as the driver counts it."""

from collections.abc import Callable
from functools import partial
from math import nan

import torch

from server.telemetry.metrics import Metrics


def watch_gpu_memory(metrics: Metrics, device: torch.device) -> None:
    """Have the metrics show the device's memory; a CPU has none to show."""
    if device.type != "cuda":
        return
    index = torch.cuda.current_device()
    name = f"cuda:{index}"
    for gauge, read in ((metrics.gpu_memory_used, _used), (metrics.gpu_memory_total, _total)):
        gauge.labels(name).set_function(partial(_read, read, index))


def _read(read: Callable[[int], int], index: int) -> float:
    """Return the value; a GPU that has failed must not take all metrics with it."""
    try:
        return float(read(index))
    except RuntimeError:
        return nan


def _used(index: int) -> int:
    free, total = torch.cuda.mem_get_info(index)
    return total - free


def _total(index: int) -> int:
    return torch.cuda.mem_get_info(index)[1]
