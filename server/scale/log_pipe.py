"""A pipe with a name, through which the replicas of a machine log to one stderr."""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

CHUNK: Final = 65536
STREAMS: Final = (1, 2)


def relay_lines(path: Path) -> None:
    """Create the pipe, and copy its content to stderr until this process ends."""
    os.mkfifo(path, 0o600)
    # Also opened for writing, so that the pipe does not end with the last replica.
    reader = os.open(path, os.O_RDWR)
    threading.Thread(target=_copy, args=(reader,), name="replica logs", daemon=True).start()


def log_through(path: Path) -> None:
    """Redirect stdout and stderr of this process and its children to the pipe."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    pipe = os.open(path, os.O_WRONLY)
    for number in STREAMS:
        os.dup2(pipe, number)
    os.close(pipe)


def _copy(reader: int) -> None:
    rest = b""
    while chunk := os.read(reader, CHUNK):
        lines, newline, rest = (rest + chunk).rpartition(b"\n")
        if len(rest) > CHUNK:  # a line too long to wait for its end
            lines, newline, rest = lines + newline + rest, b"", b""
        # The pipe is emptied even if nobody reads stderr: a full one would stop the replicas.
        with suppress(OSError, ValueError):
            sys.stderr.buffer.write(lines + newline)
            sys.stderr.buffer.flush()
