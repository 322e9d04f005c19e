"""Lets the engine's non-computing threads run on every core."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def free_helper_threads(pid: int) -> None:
    """Let a process's threads run on all cores, except those that compute on cores of their own.

    On a CPU, vLLM binds the computing thread to a core, and all threads that it starts later
    inherit the binding. The thread that sends tokens then waits for the core, and for Python's
    lock, which the computing thread takes again first: for seconds if a second process shares the
    core.
    """
    cores, bound = os.sched_getaffinity(0), os.sched_getaffinity(pid)
    for thread in _list_threads(pid):
        with suppress(ProcessLookupError):
            if thread != pid and os.sched_getaffinity(thread) == bound:
                os.sched_setaffinity(thread, cores)


def list_children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in children for child in file.read_text().split()]


def _list_threads(pid: int) -> Iterator[int]:
    return (int(folder.name) for folder in Path(f"/proc/{pid}/task").iterdir())
