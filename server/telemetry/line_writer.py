"""Writes lines in a thread: a full disk or a reader that stopped delays nobody."""

import os
import threading
from collections import deque
from typing import Final

# Lines that wait while nothing can be written; more are dropped.
MAX_PENDING_BYTES: Final = 4 * 1024 * 1024


class LineWriter:
    """A stream onto a file descriptor whose `write` never blocks and never fails.

    Lines that cannot be written are dropped and counted.
    """

    def __init__(self, descriptor: int, max_pending_bytes: int = MAX_PENDING_BYTES) -> None:
        self._descriptor = descriptor
        self._max_pending_bytes = max_pending_bytes
        self._pending: deque[bytes] = deque()
        self.num_pending_bytes = 0
        self._num_lost = 0
        self._is_working = True
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="line writer", daemon=True).start()

    def write(self, text: str) -> None:
        """Write a text soon, or drop it where too much waits already."""
        data = text.encode(errors="backslashreplace")
        with self._changed:
            if self.num_pending_bytes + len(data) > self._max_pending_bytes:
                self._num_lost += 1
                return
            self._pending.append(data)
            self.num_pending_bytes += len(data)
            self._changed.notify_all()

    def flush(self) -> None:
        """Do nothing: the thread writes at once."""

    def drain(self, timeout_s: float) -> None:
        """Wait until all is written, for `timeout_s` seconds at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self.num_pending_bytes, timeout_s)

    def take_num_lost(self) -> int:
        """Return how many texts were dropped since the last call, once texts can be written again.

        Until then it returns 0: there is no place yet to tell it.
        """
        with self._changed:
            if not self._is_working or self.num_pending_bytes > self._max_pending_bytes // 2:
                return 0
            num_lost, self._num_lost = self._num_lost, 0
        return num_lost

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending)
                data = self._pending.popleft()
            is_written = _write_all(self._descriptor, data)
            with self._changed:
                self._is_working = is_written
                self._num_lost += not is_written
                self.num_pending_bytes -= len(data)
                self._changed.notify_all()


def _write_all(descriptor: int, data: bytes) -> bool:
    """Write all bytes, however long that takes. Return whether that was possible."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:  # a full disk, a closed pipe, a terminal that is gone
        return False
    return True
