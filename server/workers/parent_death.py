"""Ties the engine's processes to the life of the server."""

import ctypes
import multiprocessing
import os
import signal
from typing import Final

PR_SET_PDEATHSIG: Final = 1  # from <linux/prctl.h>


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, however that happens.

    Else a killed server would leave an engine behind that nobody can reach and that keeps its
    memory. vLLM calls this in each of its processes (entry point `vllm.general_plugins`); in those
    that multiprocessing did not start, nothing happens. Strictly it is the parent's thread whose
    end counts: the engine is started by a thread that lives as long as the server.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    try:
        prctl = ctypes.CDLL(None).prctl
    except (AttributeError, OSError):
        return
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent.pid:  # the parent was gone before the kernel was told
        os._exit(1)
