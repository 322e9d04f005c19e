"""A file to append to, which log rotation may rename or remove."""

import errno
import os
from pathlib import Path
from typing import Final

from server.telemetry.line_sink import LineSink

STDOUT: Final = Path("-")
STDOUT_DESCRIPTOR: Final = 1
# Non-blocking: opening a FIFO without a reader fails, and a full one is waited for.
APPEND_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
MODE: Final = 0o640
REMEDIES: Final = {
    errno.ENOENT: "create the folder {folder} for the server's user",
    errno.ENOTDIR: "{folder} is a file: name one in a folder",
    errno.EISDIR: "name a file in it",
    errno.EACCES: "let the server's user write it, and create files in {folder}",
    errno.EROFS: "take a folder that may be written",
    errno.ENXIO: "start what reads this FIFO first",
}


class UsageFile:
    """Appends lines to a path, or to stdout for `-`. For one thread.

    The file is opened again once it has been renamed or removed.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Raises `OSError`."""
        self._path = path
        self._sink = LineSink(self._open())

    def write(self, line: bytes) -> None:
        """Append a line that ends with a newline. Raises `OSError`, perhaps after part of it."""
        if self._path != STDOUT and not self._is_current():
            old, self._sink = self._sink, LineSink(self._open())
            os.close(old.descriptor)
        self._sink.write(line)

    def _is_current(self) -> bool:
        """Whether the path still leads to the open file."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._sink.descriptor))
        except FileNotFoundError:
            return False

    def _open(self) -> int:
        if self._path == STDOUT:
            return STDOUT_DESCRIPTOR
        return open_to_append(self._path, os.O_CREAT)


def open_to_append(path: Path, flags: int = 0) -> int:
    """Return a descriptor of a file. Raises `OSError` with the remedy."""
    try:
        return os.open(path, APPEND_FLAGS | flags, MODE)
    except OSError as error:
        raise explain_append_error(path, error) from None


def explain_append_error(path: Path, error: OSError) -> OSError:
    """Return the error with its remedy, if any."""
    remedy = REMEDIES.get(error.errno or 0, "").format(folder=path.parent)
    cause = f"{error.strerror}; {remedy}" if remedy else f"{error.strerror}"
    return type(error)(f"cannot append to {path}: {cause}")
