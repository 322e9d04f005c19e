"""The memory of the model's GPUs, as the driver counts it."""

from collections.abc import Callable
from functools import partial
from math import nan

import torch

from server.telemetry.metrics import Metrics


def watch_gpu_memory(metrics: Metrics, device: torch.device, num_devices: int = 1) -> None:
    """Have the metrics show the memory of the first devices; on a CPU there are none."""
    if device.type != "cuda":
        return
    for index in range(num_devices):
        for gauge, read in ((metrics.gpu_memory_used, _used), (metrics.gpu_memory_total, _total)):
            gauge.labels(f"cuda:{index}").set_function(partial(_read, read, index))


def _read(read: Callable[[int], int], index: int) -> float:
    """Return the value; a failed GPU must not break all metrics."""
    try:
        return float(read(index))
    except Exception:  # NVML's errors and CUDA's have no common class
        return nan


def _used(index: int) -> int:
    if index == torch.cuda.current_device():
        free, total = torch.cuda.mem_get_info(index)
        return total - free
    # From NVML: CUDA would take some of that device's memory for a context.
    return torch.cuda.device_memory_used(index)


def _total(index: int) -> int:
    return int(torch.cuda.get_device_properties(index).total_memory)
