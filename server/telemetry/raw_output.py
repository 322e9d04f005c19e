"""Sends this process's and its children's stdout and stderr through `raw_lines`.

Log lines are JSON already. Other output is not: that of C and C++ code, tracebacks of child
processes, messages of an aborting process.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

STDOUT: Final = 1
STDERR: Final = 2
PROGRAM: Final = Path(__file__).with_name("raw_lines.py")
# Seconds that the program may take to read and write the last lines. More than it waits for its
# readers: in a container it is killed when the server has ended.
LAST_WORDS_TIMEOUT_S: Final = 3.0


@contextmanager
def wrap_raw_output() -> Iterator[None]:
    """Wrap raw lines as JSON for a block, including those of processes started in it."""
    saved = {number: os.dup(number) for number in (STDOUT, STDERR)}
    control = _start_program()
    try:
        yield
    finally:
        _flush()
        _wait_until_written(control)
        for number, original in saved.items():
            os.dup2(original, number)
            os.close(original)


def _wait_until_written(control: socket.socket) -> None:
    """Wait until the program has written everything so far.

    The program goes on while a child holds a pipe, as multiprocessing's resource tracker does.
    """
    with control, suppress(OSError):  # it took too long, or was killed
        control.settimeout(LAST_WORDS_TIMEOUT_S)
        control.shutdown(socket.SHUT_WR)
        control.recv(1)


def _start_program() -> socket.socket:
    """Start the program with the current streams, then replace them by pipes to it.

    Returns the socket that the program closes once it has written everything.
    """
    _flush()
    control, program_control = socket.socketpair()
    pipes = {number: os.pipe() for number in (STDOUT, STDERR)}
    inherited = [*(reader for reader, _ in pipes.values()), program_control.fileno()]
    subprocess.Popen(  # noqa: S603 - a program of ours
        [sys.executable, "-I", "-S", str(PROGRAM), *map(str, inherited)],
        stdin=subprocess.DEVNULL,
        pass_fds=inherited,
        start_new_session=True,  # Ctrl-C is left to the server
    )
    program_control.close()
    for number, (reader, writer) in pipes.items():
        os.close(reader)
        os.dup2(writer, number)
        os.close(writer)
    return control


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
