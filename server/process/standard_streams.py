"""Standard streams that whoever started the process has closed."""

import os
import sys


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
