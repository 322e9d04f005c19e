"""The usage log: one JSON line for each request, written in a thread."""

import asyncio
import queue
import threading
from contextlib import suppress
from typing import Final

from prometheus_client import Counter

from server.telemetry.logs import get_logger
from server.telemetry.usage import Usage
from server.telemetry.usage_file import UsageFile

log = get_logger(__name__)

# Lines that wait for the disk; beyond it they are dropped.
MAX_QUEUED: Final = 10_000
# At the end: how long a place in the queue may take, and then the last lines, in seconds.
CLOSE_TIMEOUT_S: Final = 1.0


class UsageLog:
    """Writes usage to a file. Lines that cannot be written are dropped and counted.

    So a full disk, or a reader of stdout that does not read, stops nothing else.
    """

    def __init__(self, output: UsageFile, dropped: Counter) -> None:
        self._output = output
        self._dropped = dropped
        self._is_failing = False
        self._queue: queue.Queue[Usage | None] = queue.Queue(MAX_QUEUED)
        self._thread = threading.Thread(target=self._run, name="usage-log", daemon=True)
        self._thread.start()

    def add(self, usage: Usage) -> None:
        """Write a line soon; drop it if too many wait."""
        try:
            self._queue.put_nowait(usage)
        except queue.Full:
            self._dropped.inc()

    async def close(self) -> None:
        """Write what waits, within a bounded time."""
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        with suppress(queue.Full):
            self._queue.put(None, timeout=CLOSE_TIMEOUT_S)
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while (usage := self._queue.get()) is not None:
            try:
                self._output.write(usage.format_line())
                self._is_failing = False
            except OSError as error:
                self._dropped.inc()
                self._report(error)

    def _report(self, error: OSError) -> None:
        """Say once that lines are lost, until one is written again."""
        if not self._is_failing:
            self._is_failing = True
            log.error("the usage log cannot be written: lines are dropped", reason=str(error))
