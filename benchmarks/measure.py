"""Measures one system under one workload, with the load in a separate process."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.suites import Suite
from benchmarks.systems import ENVIRONMENT, RunningServer, ServedModel
from benchmarks.timing import Timing
from benchmarks.usage import PeakMemory, measure_cpu_seconds
from benchmarks.workloads import Workload

MS: Final = 1000
# The load generator prints these around its window.
BEGIN: Final = "begin"
END: Final = "end"


def measure_load(
    server: RunningServer, suite: Suite, work: Workload, timing: Timing, seed: int, folder: Path
) -> dict[str, float]:
    """Run one workload; return the clients' figures and the server's CPU time and memory."""
    arguments = [
        *("benchmarks.load_generator", server.chat_url, work.name, "--model", server.model_name),
        *("--window-s", str(timing.window_s * work.length), "--warm-up-s", str(timing.warm_up_s)),
        *("--seed", str(seed), "--folder", str(folder), "--suite", suite.name),
    ]
    figures: dict[str, float] = {}
    cpu: dict[str, dict[str, float]] = {}
    with PeakMemory(server.pid) as memory:
        for line in run_module(arguments):
            if line in (BEGIN, END):
                cpu[line] = measure_cpu_seconds(server.pid)
            else:
                figures = json.loads(line)
    return (
        figures
        | _compute_cpu_per_request(cpu[BEGIN], cpu[END], figures["requests"])
        | {"peak_mib": memory.mib}
    )


def _compute_cpu_per_request(
    before: Mapping[str, float], after: Mapping[str, float], requests: float
) -> dict[str, float]:
    """Return CPU ms per request, in total and by role.

    The CPU time of a worker that ended in the window is lost; negative sums become 0.
    """
    spent = {role: max(0.0, after[role] - before.get(role, 0.0)) for role in after}
    each = {role: seconds / max(1.0, requests) * MS for role, seconds in spent.items()}
    named = {f"cpu_ms_per_request:{role}": ms for role, ms in each.items()}
    return {"cpu_ms_per_request": sum(each.values()), **named}


def measure_engine(
    names: Sequence[str], model: ServedModel, suite: Suite, timing: Timing, *, eager: bool
) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure the engine alone; yield the name and the figures of each workload."""
    arguments = [
        *("benchmarks.engine_only", *names, "--suite", suite.name, "--model", model.to_json()),
        *("--window-s", str(timing.window_s), "--warm-up-s", str(timing.warm_up_s)),
        "--eager" if eager else "--no-eager",
    ]
    for line in run_module(arguments):
        record = json.loads(line)
        yield record["workload"], record["figures"]


def run_module(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the lines that a module prints. Raises `SystemExit` if it fails."""
    with _start([sys.executable, "-m", *arguments]) as process:
        if process.stdout is None:
            raise ValueError("no pipe")
        for line in process.stdout:
            yield line.strip()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments[:2])} failed with {process.returncode}")


@contextmanager
def _start(command: Sequence[str]) -> "Iterator[subprocess.Popen[str]]":
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
