"""Whether a file could be appended to, without creating it."""

import errno
import os
from pathlib import Path

from server.telemetry.usage_file import STDOUT, explain_append_error, open_to_append


def check_appendable(path: Path) -> None:
    """Raise `OSError` if lines could not be appended to a path; `-` is stdout."""
    if path == STDOUT:
        return
    try:
        os.close(open_to_append(path))
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise
        if not os.access(path.parent, os.W_OK | os.X_OK):
            denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            raise explain_append_error(path, denied) from None
