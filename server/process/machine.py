"""What this machine offers: CPU cores, and whether there may be a GPU."""

import os
from pathlib import Path
from typing import Final

# At least two: one slow image must not block all others.
MIN_DECODE_WORKERS: Final = 2
MAX_DECODE_WORKERS: Final = 8
# Devices of GPUs: NVIDIA's, its Tegra's, those of WSL, AMD's.
GPU_DEVICES: Final = ("/dev/nvidiactl", "/dev/nvmap", "/dev/dxg", "/dev/kfd")


def count_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def count_spare_cores() -> int:
    """Return the number of CPU cores minus the one that the engine keeps busy."""
    return max(1, count_cores() - 1)


def count_decode_workers() -> int:
    """Return the default number of decode workers: the spare cores, within limits."""
    return max(MIN_DECODE_WORKERS, min(count_spare_cores(), MAX_DECODE_WORKERS))


def has_gpu_device() -> bool:
    """Whether there is a GPU's device; without one PyTorch finds none either."""
    return any(Path(device).exists() for device in GPU_DEVICES)
