"""A file that only grows, under a name that log rotation may take away."""

import os
from pathlib import Path
from typing import Final

from server.telemetry.line_sink import LineSink

STDOUT: Final = Path("-")
STDOUT_DESCRIPTOR: Final = 1
# Without blocking: a FIFO that nobody reads is an error, and one that is full a moment's wait.
APPEND_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
MODE: Final = 0o640


class UsageFile:
    """Appends lines to a path, or to stdout for `-`. For one thread.

    The file is opened again once it has been renamed or removed.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Raises `OSError`."""
        self._path = path
        self._sink = LineSink(self._open())

    def write(self, line: bytes) -> None:
        """Append a line that ends with a newline. Raises `OSError`, after part of it perhaps."""
        if self._path != STDOUT and not self._is_current():
            old, self._sink = self._sink, LineSink(self._open())
            os.close(old.descriptor)
        self._sink.write(line)

    def _is_current(self) -> bool:
        """Whether the path still leads to the file that is open."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._sink.descriptor))
        except FileNotFoundError:
            return False

    def _open(self) -> int:
        if self._path == STDOUT:
            return STDOUT_DESCRIPTOR
        return os.open(self._path, APPEND_FLAGS | os.O_CREAT, MODE)
