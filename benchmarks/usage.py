"""CPU time and memory of a server's processes."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import psutil

MIB: Final = 1024 * 1024
NS: Final = 1_000_000_000
SAMPLE_S: Final = 2.0  # the kernel takes a while to sum up a process's PSS
# Substrings of command lines -> roles; the first match counts.
ROLES: Final = (
    ("VLLM::EngineCore", "engine"),
    ("VLLM::Worker", "worker"),
    ("spawn_main", "decode"),
)


def measure_cpu_seconds(pid: int) -> dict[str, float]:
    """Return the CPU seconds of a server's processes so far, by role."""
    seconds: dict[str, float] = defaultdict(float)
    for process in _list_processes(pid):
        with suppress(psutil.Error):
            times = process.cpu_times()
            seconds[_find_role(process, pid)] += times.user + times.system
    return seconds


def measure_wait_seconds(pid: int) -> float:
    """Return how long a process's main thread was ready to run but had no core, so far."""
    try:
        fields = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
    except OSError:  # the process is gone, or the kernel does not count it
        return 0.0
    return int(fields[1]) / NS


def measure_memory_mib(pid: int) -> float:
    """Return a server's memory in MiB; shared memory counts once (PSS)."""
    total = 0
    for process in _list_processes(pid):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / MIB


class PeakMemory:
    """Samples a server's memory every two seconds within its context."""

    def __init__(self, pid: int) -> None:
        self.mib = 0.0
        self._pid = pid
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Self:
        """Start sampling."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop sampling."""
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            self.mib = max(self.mib, measure_memory_mib(self._pid))
            if self._stopped.wait(SAMPLE_S):
                return


def list_pids(pid: int) -> list[int]:
    """Return the ids of a server's processes."""
    return [process.pid for process in _list_processes(pid)]


def _list_processes(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        yield root
        yield from root.children(recursive=True)


def _find_role(process: psutil.Process, root: int) -> str:
    if process.pid == root:
        return "server"
    command = " ".join(process.cmdline())
    return next((role for substring, role in ROLES if substring in command), "other")
