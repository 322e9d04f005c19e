"""Whether a file could be appended to, without creating it."""

import errno
import os
from pathlib import Path

from server.telemetry.usage_file import APPEND_FLAGS, STDOUT


def check_appendable(path: Path) -> None:
    """Raise `OSError` where lines could not be appended to a path; `-` is stdout."""
    if path == STDOUT:
        return
    try:
        os.close(os.open(path, APPEND_FLAGS))
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None
