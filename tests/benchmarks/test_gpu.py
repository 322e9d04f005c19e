"""The GPU's name and memory, by a stand-in for NVML and for `nvidia-smi`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from benchmarks import gpu
from benchmarks.gpu import describe_gpu, has_gpu, measure_gpu_memory_mib

MIB = 1024 * 1024
SMI = """#!/bin/sh
case "$1" in
  --query-gpu=name,memory.total,driver_version) echo "NVIDIA H100 80GB HBM3, 81559, 580.95" ;;
  --query-gpu=memory.used) echo 70000 ;;
  *) exit 1 ;;
esac
"""


@pytest.fixture(autouse=True)
def no_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pretend that there is a GPU, and neither NVML nor `nvidia-smi`."""
    monkeypatch.setattr(gpu, "has_gpu", lambda: True)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=None)


def install_nvml(
    monkeypatch: pytest.MonkeyPatch, *cards: Sequence[tuple[int, int | None]], used: int = 0
) -> None:
    """Install an NVML with cards of (process id, bytes)."""
    nvml = ModuleType("pynvml")
    functions = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: len(cards),
        "nvmlDeviceGetHandleByIndex": lambda index: cards[index],
        "nvmlDeviceGetComputeRunningProcesses": lambda card: [
            SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in card
        ],
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(used=used),
    }
    for name, function in functions.items():
        setattr(nvml, name, function)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)


def install_smi(folder: Path) -> None:
    program = folder / "nvidia-smi"
    program.write_text(SMI)
    program.chmod(0o755)


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "has_gpu", lambda: False)
    assert describe_gpu() == {}
    assert measure_gpu_memory_mib([1]) is None


def test_the_memory_is_that_of_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    install_nvml(monkeypatch, [(7, 100 * MIB), (8, 20 * MIB), (9, MIB)], [(8, MIB)], used=999 * MIB)
    assert measure_gpu_memory_mib([7, 8]) == 121


def test_it_is_the_cards_where_the_processes_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    install_nvml(monkeypatch, [(7, None)], used=300 * MIB)
    assert measure_gpu_memory_mib([7]) == 300
    assert measure_gpu_memory_mib([1234]) == 300


def test_without_nvml_nvidia_smi_tells(tmp_path: Path) -> None:
    assert measure_gpu_memory_mib([7]) is None
    install_smi(tmp_path)
    assert measure_gpu_memory_mib([7]) == 70_000
    assert describe_gpu() == {"GPU": "NVIDIA H100 80GB HBM3, 81559 MiB", "driver": "580.95"}


def test_asking_whether_there_is_one_does_not_fail() -> None:
    assert has_gpu() in (True, False)
