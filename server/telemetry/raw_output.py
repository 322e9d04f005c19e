"""Sends what this process and its children write to stdout and stderr through `raw_lines`.

Log lines are JSON already. The rest is not: C and C++ code, tracebacks of child processes, the
words of a process that aborts.
"""

import fcntl
import os
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

STDOUT: Final = 1
STDERR: Final = 2
PROGRAM: Final = Path(__file__).with_name("raw_lines.py")
# How long the program may take to read the last lines, and then to write them. It reads on where a
# child keeps the pipe, as multiprocessing's resource tracker does to the end.
READ_TIMEOUT_S: Final = 1.0
WRITE_TIMEOUT_S: Final = 0.02
POLL_S: Final = 0.002


@contextmanager
def wrap_raw_output() -> Iterator[None]:
    """Wrap raw lines as JSON for a block, also those of processes started in it."""
    saved = {number: os.dup(number) for number in (STDOUT, STDERR)}
    program = _start_program()
    try:
        yield
    finally:
        _flush()
        _wait_until_read((STDOUT, STDERR))
        for number, original in saved.items():
            os.dup2(original, number)
            os.close(original)
        with suppress(subprocess.TimeoutExpired):
            program.wait(WRITE_TIMEOUT_S)


def _wait_until_read(pipes: Iterable[int]) -> None:
    """Wait until nothing is left in the pipes; their write ends tell, too."""
    deadline = time.monotonic() + READ_TIMEOUT_S
    while any(map(_count_unread, pipes)) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _count_unread(pipe: int) -> int:
    buffer = bytearray(struct.calcsize("i"))
    fcntl.ioctl(pipe, termios.FIONREAD, buffer)
    return int.from_bytes(buffer, sys.byteorder)


def _start_program() -> subprocess.Popen[bytes]:
    """Start the program with the streams as they are, then put pipes to it in their place."""
    _flush()
    pipes = {number: os.pipe() for number in (STDOUT, STDERR)}
    readers = [reader for reader, _ in pipes.values()]
    program = subprocess.Popen(  # noqa: S603 - a program of ours
        [sys.executable, "-I", "-S", str(PROGRAM), *map(str, readers)],
        stdin=subprocess.DEVNULL,
        pass_fds=readers,
        start_new_session=True,  # Ctrl-C is the server's affair
    )
    for number, (reader, writer) in pipes.items():
        os.close(reader)
        os.dup2(writer, number)
        os.close(writer)
    return program


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
