"""Standard streams that whoever started the process has closed, or that lead to a full disk."""

import io
import os
import sys
from typing import Any, Final

STDOUT: Final = 1
STDERR: Final = 2


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


def forgive_full_outputs() -> None:
    """Have Python's standard output and error drop what cannot be written.

    Otherwise a library's progress bar would fail where the disk of the log is full, and with it the
    loading of the model.
    """
    sys.stdout, sys.stderr = _open_forgiving(STDOUT), _open_forgiving(STDERR)


def _open_forgiving(descriptor: int) -> io.TextIOWrapper:
    output = io.BufferedWriter(_ForgivingOutput(descriptor, "w", closefd=False))
    return io.TextIOWrapper(output, "utf-8", "backslashreplace", line_buffering=True)


class _ForgivingOutput(io.FileIO):
    def write(self, data: Any, /) -> int:
        """Write what can be written; say that it was all."""
        try:
            return super().write(data)
        except OSError:
            return len(data)
