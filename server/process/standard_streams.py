"""Standard streams that are closed, lead to a full disk or to nobody, or take only ASCII."""

import errno
import io
import os
import sys
from typing import Any, Final

STDOUT: Final = 1
STDERR: Final = 2
# Why output is lost: its reader has ended, as `head` does, or its disk is full.
LOST: Final = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO})


def open_missing_streams() -> None:
    """Open what is missing of standard input, output and error on the null device.

    Otherwise the next file or socket would get its number, and what libraries print would go there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number
    # Python's own are None where there was no descriptor.
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - for the whole process
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def prepare_outputs() -> None:
    """Let no print fail for its characters, nor for a standard error that nobody reads.

    What an encoding lacks, such as ASCII, is written as Python's escapes.
    """
    stdout: Any = sys.stdout
    stdout.reconfigure(errors="backslashreplace")
    sys.stderr = _open_forgiving(STDERR, sys.stderr.encoding)


def flush_stdout() -> bool:
    """Write what is buffered for standard output. Return whether it is lost."""
    try:
        sys.stdout.flush()
    except OSError as error:
        report_lost_output(error)
        return True
    return False


def report_lost_output(error: OSError) -> None:
    """Say that standard output is lost, unless its reader has ended; drop what is still to come."""
    if error.errno != errno.EPIPE:
        print(f"error: cannot write standard output: {error.strerror}", file=sys.stderr)
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)  # the interpreter flushes once more


def forgive_full_outputs() -> None:
    """Have Python's standard output and error drop what cannot be written.

    Otherwise a library's progress bar would fail where the disk of the log is full, and with it the
    loading of the model.
    """
    sys.stdout, sys.stderr = (_open_forgiving(each, "utf-8") for each in (STDOUT, STDERR))


def _open_forgiving(descriptor: int, encoding: str) -> io.TextIOWrapper:
    output = io.BufferedWriter(_ForgivingOutput(descriptor, "w", closefd=False))
    return io.TextIOWrapper(output, encoding, "backslashreplace", line_buffering=True)


class _ForgivingOutput(io.FileIO):
    def write(self, data: Any, /) -> int:
        """Write what can be written; say that it was all."""
        try:
            return super().write(data)
        except OSError:
            return len(data)
