"""The GPU: its presence, its properties, and the memory that processes hold."""

import importlib
import shutil
import subprocess
from collections.abc import Collection
from typing import Any, Final

import torch

MIB: Final = 1024 * 1024
CARD: Final = ("name", "memory.total", "driver_version")


def has_gpu() -> bool:
    """Whether the model runs on a GPU. Asking creates no context on it."""
    return torch.cuda.is_available()


def describe_gpu() -> dict[str, str]:
    """Return the first card, its memory and its driver, by name; nothing without a GPU."""
    if not has_gpu():
        return {}
    card = _query_smi(CARD)
    if card is None:
        return {"GPU": torch.cuda.get_device_name(0)}
    name, memory_mib, driver = card
    return {"GPU": f"{name}, {memory_mib} MiB", "driver": driver}


def measure_gpu_memory_mib(pids: Collection[int]) -> float | None:
    """Return the GPU memory of processes in MiB, else all used memory of the first card.

    In a container with its own process ids, NVML reports no processes. None without a GPU.
    """
    if not has_gpu():
        return None
    return _measure_by_nvml(pids) or _measure_by_smi()


def _measure_by_nvml(pids: Collection[int]) -> float | None:
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ModuleNotFoundError:
        return None
    nvml.nvmlInit()
    try:
        cards = [
            nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())
        ]
        used = sum(
            process.usedGpuMemory or 0
            for card in cards
            for process in nvml.nvmlDeviceGetComputeRunningProcesses(card)
            if process.pid in pids
        )
        return float(used or nvml.nvmlDeviceGetMemoryInfo(cards[0]).used) / MIB
    finally:
        nvml.nvmlShutdown()


def _measure_by_smi() -> float | None:
    used = _query_smi(("memory.used",))
    return None if used is None else float(used[0])


def _query_smi(fields: Collection[str]) -> list[str] | None:
    """Return `nvidia-smi`'s values for the first card; memory is in MiB."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed
    lines = done.stdout.splitlines()
    return None if done.returncode or not lines else [part.strip() for part in lines[0].split(",")]
