"""What a server's processes take of CPU and memory, by their part in it."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Self

import psutil

MIB: Final = 1024 * 1024
SAMPLE_S: Final = 2.0  # to sum up a process takes the kernel a while
# By what a process calls itself; the first that fits.
ROLES: Final = (
    ("VLLM::EngineCore", "engine"),
    ("VLLM::Worker", "worker"),
    ("spawn_main", "decode"),
)


def cpu_seconds(pid: int) -> dict[str, float]:
    """Return the CPU time spent so far by a server's processes, by role."""
    spent: dict[str, float] = defaultdict(float)
    for process in _tree(pid):
        with suppress(psutil.Error):
            times = process.cpu_times()
            spent[_role(process, pid)] += times.user + times.system
    return spent


def memory_mib(pid: int) -> float:
    """Return a server's memory, what its processes share counted once (PSS), in MiB."""
    total = 0
    for process in _tree(pid):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / MIB


class PeakMemory:
    """Watches a server's memory every other second while its context lasts."""

    def __init__(self, pid: int) -> None:
        self.mib = 0.0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.mib = max(self.mib, memory_mib(self._pid))
            if self._over.wait(SAMPLE_S):
                return


def _tree(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        yield root
        yield from root.children(recursive=True)


def _role(process: psutil.Process, root: int) -> str:
    if process.pid == root:
        return "server"
    command = " ".join(process.cmdline())
    return next((role for sign, role in ROLES if sign in command), "other")
