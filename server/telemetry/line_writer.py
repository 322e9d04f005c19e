"""Writes lines in a thread, so that a full disk or a stopped reader delays nothing else."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

# Bytes of lines that wait while nothing can be written; more are dropped.
MAX_PENDING_BYTES: Final = 4 * 1024 * 1024


def ignore(_: OSError | None) -> None:
    """Do nothing: the loss is counted anyway."""


class LineWriter:
    """A stream whose `write` never blocks and never fails.

    Lines that cannot be written are dropped and counted.
    """

    def __init__(
        self,
        sink: Callable[[bytes], None],
        on_lost: Callable[[OSError | None], None] = ignore,
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> None:
        """`sink` writes a line, in a thread, and raises `OSError` if it cannot.

        `on_lost` is called for each lost line: with that error, or with None if too much waits.
        """
        self._sink = sink
        self._on_lost = on_lost
        self._max_pending_bytes = max_pending_bytes
        self._pending: deque[bytes] = deque()
        self.num_pending_bytes = 0
        self._num_lost = 0
        self._is_working = True
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="line writer", daemon=True).start()

    def write(self, text: str) -> None:
        """Write a text soon, or drop it if too much waits already."""
        data = text.encode(errors="backslashreplace")
        with self._changed:
            if self.num_pending_bytes + len(data) > self._max_pending_bytes:
                self._num_lost += 1
            else:
                self._pending.append(data)
                self.num_pending_bytes += len(data)
                self._changed.notify_all()
                return
        self._on_lost(None)

    def flush(self) -> None:
        """Do nothing: the thread writes at once."""

    def drain(self, timeout_s: float) -> None:
        """Wait until all is written, for `timeout_s` seconds at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self.num_pending_bytes, timeout_s)

    def take_num_lost(self) -> int:
        """Return how many texts were dropped since the last call, once texts can be written again.

        Until then it returns 0, since a report could not be written either.
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
            error = self._write(data)
            with self._changed:
                self._is_working = error is None
                self._num_lost += error is not None
                self.num_pending_bytes -= len(data)
                self._changed.notify_all()

    def _write(self, data: bytes) -> OSError | None:
        try:
            self._sink(data)
        except OSError as error:  # a full disk, a closed pipe, a terminal that is gone
            self._on_lost(error)
            return error
        return None
