"""Ends child processes when the server dies."""

import ctypes
import multiprocessing
import os
import signal
from typing import Final

PR_SET_PDEATHSIG: Final = 1  # from <linux/prctl.h>


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, however that happens.

    Otherwise a killed server would leave an engine behind that is unreachable and keeps its
    memory. It does nothing in processes that multiprocessing did not start. Strictly, the kernel
    watches the parent's thread: the engine is started by a thread that lives as long as the server.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    try:
        prctl = ctypes.CDLL(None).prctl
    except (AttributeError, OSError):
        return
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent.pid:  # the parent had died before the prctl call
        os._exit(1)
