"""Ends processes that Ray leaves behind: HAProxy and Ray's agents may outlive their parents."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psutil

PR_SET_CHILD_SUBREAPER: Final = 36  # from <linux/prctl.h>
# How long they may take after SIGTERM, in seconds.
END_TIMEOUT_S: Final = 3.0


@contextmanager
def end_orphans() -> Iterator[None]:
    """At the end of a block, end all processes started in it, directly or indirectly.

    The kernel makes this process the parent of those whose own parent has died.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = set(psutil.Process().children())
    try:
        yield
    finally:
        _end([each for each in psutil.Process().children(recursive=True) if each not in before])


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=END_TIMEOUT_S)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
