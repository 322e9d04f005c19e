"""CPU time and memory of a server's processes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks import usage
from benchmarks.usage import (
    PeakMemory,
    measure_cpu_seconds,
    measure_memory_mib,
    measure_wait_seconds,
)

CPU_S = 0.1
# Upper bounds of Python's own start-up time and memory.
START_S, PYTHON_MIB = 1.5, 40
FORK = """
import os, sys
held = b"1" * (64 * 1024 * 1024)
os.fork()
os.write(1, b"forked\\n")
sys.stdin.read()
"""


@contextmanager
def run_process_tree(*names: str, allocated_mib: int = 0) -> Iterator["subprocess.Popen[str]"]:
    """Run a process with children of these names, all of which have spent their CPU time."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.process_tree",
        str(allocated_mib),
        str(CPU_S),
        *names,
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline()
        yield parent
        parent.communicate()  # its input ends, and so does it


def test_cpu_time_by_role() -> None:
    names = ("VLLM::EngineCore", "VLLM::Worker_TP0", "spawn_main(1)", "spawn_main(2)", "tracker")
    with run_process_tree(*names) as parent:
        spent = measure_cpu_seconds(parent.pid)
    assert set(spent) == {"server", "engine", "worker", "decode", "other"}
    for role, seconds in spent.items():
        processes = 2 if role == "decode" else 1
        # Of the kernel's clock, with which it is counted, a tick may be missing.
        assert processes * (CPU_S - 0.02) <= seconds <= processes * (CPU_S + START_S)


def test_a_server_without_children_is_all_there_is() -> None:
    with run_process_tree() as parent:
        assert set(measure_cpu_seconds(parent.pid)) == {"server"}


def test_cpu_time_is_a_sum_that_grows() -> None:
    before = measure_cpu_seconds(os.getpid())["server"]
    until = time.process_time() + CPU_S
    while time.process_time() < until:
        pass
    assert measure_cpu_seconds(os.getpid())["server"] - before >= CPU_S - 0.02


def test_who_has_ended_takes_nothing() -> None:
    with run_process_tree() as parent:
        pass
    assert not measure_cpu_seconds(parent.pid)
    assert measure_memory_mib(parent.pid) == 0


def test_memory_is_that_of_all_processes() -> None:
    with run_process_tree(allocated_mib=64) as parent:
        alone = measure_memory_mib(parent.pid)
        assert 64 < alone < 64 + PYTHON_MIB
    with run_process_tree("one", "two", allocated_mib=64) as parent:
        assert alone < measure_memory_mib(parent.pid) < 64 + 3 * PYTHON_MIB


def test_shared_memory_counts_once() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        assert [parent.stdout.readline() for _ in range(2)] == [b"forked\n"] * 2
        assert 64 < measure_memory_mib(parent.pid) < 64 + PYTHON_MIB
        parent.communicate()


def test_the_peak_outlasts_what_was_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "SAMPLE_S", 0.01)
    with run_process_tree(allocated_mib=64) as parent:
        with PeakMemory(parent.pid) as peak:
            while peak.mib == 0:
                time.sleep(0.01)
            assert parent.stdin
            assert parent.stdout
            print(file=parent.stdin, flush=True)
            assert parent.stdout.readline() == "freed\n"
        assert measure_memory_mib(parent.pid) < PYTHON_MIB
        assert 64 < peak.mib < 64 + PYTHON_MIB


def test_a_short_while_has_a_peak_too() -> None:
    with PeakMemory(os.getpid()) as peak:
        pass
    assert peak.mib > 0


def test_a_busy_process_waits_for_a_core_now_and_then() -> None:
    assert measure_wait_seconds(os.getpid()) >= 0
    assert measure_wait_seconds(2**30) == 0
