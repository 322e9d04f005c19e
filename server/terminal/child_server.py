"""`python -m server.terminal.child_server PARENT …`: a server that ends with its parent.

A program of its own, since code that Python runs between fork and exec may hang where there are
threads.
"""

import ctypes
import os
import signal
import sys

from server.workers.parent_death import PR_SET_PDEATHSIG


def main(parent: str, *options: str) -> None:
    """Become the server, which gets SIGTERM when `parent` dies, however that happens."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it was gone before the kernel was told
        sys.exit(1)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "server", *options])  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
