"""The usage log: one JSON line for each request, written in a thread."""

import asyncio
from typing import Final

from prometheus_client import Counter

from server.telemetry.line_writer import LineWriter
from server.telemetry.logs import get_logger
from server.telemetry.usage import Usage
from server.telemetry.usage_file import UsageFile

log = get_logger(__name__)

# Seconds that the last lines may take at the end.
CLOSE_TIMEOUT_S: Final = 1.0


class UsageLog:
    """Writes usage to a file. Lines that cannot be written are dropped and counted.

    A full disk, or a reader of stdout that does not read, thus stops nothing else.
    """

    def __init__(self, output: UsageFile, dropped: Counter) -> None:
        self._output = output
        self._dropped = dropped
        self._is_failing = False
        self._writer = LineWriter(self._write, self._count_lost)

    def add(self, usage: Usage) -> None:
        """Write a line soon; drop it if too many wait."""
        self._writer.write(usage.format_line())

    async def close(self) -> None:
        """Write the waiting lines, within a bounded time."""
        await asyncio.to_thread(self._writer.drain, CLOSE_TIMEOUT_S)

    def _write(self, line: bytes) -> None:
        self._output.write(line)
        self._is_failing = False

    def _count_lost(self, error: OSError | None) -> None:
        """Count a lost line; log the failure once, until a line can be written again."""
        self._dropped.inc()
        if error is not None and not self._is_failing:
            self._is_failing = True
            log.error("the usage log cannot be written: lines are dropped", reason=str(error))
