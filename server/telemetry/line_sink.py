"""Writes whole lines to a file descriptor, as slowly as it takes them."""

import os
import select


class LineSink:
    """Writes lines; a line that an error cut off is followed by a line break. For one thread.

    The descriptor may be non-blocking: no line is lost to a merely slow reader.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._is_torn = False  # the last line is not complete

    def write(self, line: bytes) -> None:
        """Write a line that ends with a newline. Raises `OSError`, perhaps after part of it."""
        rest = (b"\n" if self._is_torn else b"") + line
        while rest:
            try:
                num_written = os.write(self.descriptor, rest)
            except BlockingIOError:
                self._wait()
                continue
            self._is_torn = num_written < len(rest)
            rest = rest[num_written:]

    def _wait(self) -> None:
        """Wait for room, or for an error, which the next write raises."""
        room = select.poll()
        room.register(self.descriptor, select.POLLOUT)
        room.poll()
