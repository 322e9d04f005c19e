"""`python -m server.terminal.child_server PARENT …`: a server that ends with its parent process.

It is a separate program, since `preexec_fn` may deadlock in a process with threads.
"""

import ctypes
import os
import signal
import sys

from server.workers.parent_death import PR_SET_PDEATHSIG


def main(parent: str, *options: str) -> None:
    """Replace this process with the server; the kernel sends it SIGTERM when `parent` dies."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # the parent died before prctl
        sys.exit(1)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "server", *options])  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
