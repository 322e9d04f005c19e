"""Measures one system under one workload: load in a process of its own, usage from outside."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.systems import ENVIRONMENT, MODEL_NAME, Running
from benchmarks.usage import PeakMemory, cpu_seconds
from benchmarks.workloads import Workload

MS: Final = 1000
# What the load generator prints around the time that counts.
BEGIN: Final = "begin"
END: Final = "end"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a workload is measured, in seconds: its window, which it may stretch, and before."""

    window_s: float
    warm_up_s: float


def measure_load(
    server: Running, work: Workload, timing: Timing, seed: int, folder: Path
) -> dict[str, float]:
    """Drive a server with one workload; returns what clients saw and what its processes took."""
    arguments = [
        *("benchmarks.load_generator", server.chat_url, work.name, "--model", MODEL_NAME),
        *("--window-s", str(timing.window_s * work.length), "--warm-up-s", str(timing.warm_up_s)),
        *("--seed", str(seed), "--folder", str(folder)),
    ]
    figures: dict[str, float] = {}
    cpu: dict[str, dict[str, float]] = {}
    with PeakMemory(server.pid) as memory:
        for line in _lines(arguments):
            if line in (BEGIN, END):
                cpu[line] = cpu_seconds(server.pid)
            else:
                figures = json.loads(line)
    return (
        figures
        | _cpu_per_request(cpu[BEGIN], cpu[END], figures["requests"])
        | {"peak_mib": memory.mib}
    )


def _cpu_per_request(
    before: Mapping[str, float], after: Mapping[str, float], requests: float
) -> dict[str, float]:
    """Return milliseconds of each role; a worker that ended in between took its time with it."""
    spent = {role: max(0.0, after[role] - before.get(role, 0.0)) for role in after}
    each = {role: seconds / max(1.0, requests) * MS for role, seconds in spent.items()}
    named = {f"cpu_ms_per_request:{role}": ms for role, ms in each.items()}
    return {"cpu_ms_per_request": sum(each.values()), **named}


def measure_engine(
    names: Sequence[str], timing: Timing, *, eager: bool
) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure the engine alone under some workloads; yields name and figures of each."""
    arguments = [
        *("benchmarks.engine_only", *names),
        *("--window-s", str(timing.window_s), "--warm-up-s", str(timing.warm_up_s)),
        "--eager" if eager else "--no-eager",
    ]
    for line in _lines(arguments):
        record = json.loads(line)
        yield record["workload"], record["figures"]


def _lines(arguments: Sequence[str]) -> Iterator[str]:
    """Yield what a module of ours prints, while it runs. Raises `SystemExit` where it fails."""
    with _running([sys.executable, "-m", *arguments]) as process:
        if process.stdout is None:
            raise ValueError("no pipe")
        for line in process.stdout:
            yield line.strip()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments[:2])} failed with {process.returncode}")


@contextmanager
def _running(command: Sequence[str]) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    try:
        yield process
        process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
