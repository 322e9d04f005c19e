"""Limits the log lines about failed exports of traces."""

import logging
import time
from collections.abc import Callable
from typing import Final

from server.telemetry.logs import get_logger

log = get_logger(__name__)

INTERVAL_S: Final = 60.0
LIBRARY: Final = "opentelemetry"


class ExportLog(logging.Handler):
    """Takes OpenTelemetry's log messages, and passes on one in `interval_s` seconds.

    Its exporter logs every attempt, and its queue every span that it drops.
    """

    def __init__(
        self, interval_s: float = INTERVAL_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(logging.WARNING)
        self._interval_s = interval_s
        self._clock = clock
        self._next_at = float("-inf")
        self._num_left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Log a message, or count it."""
        if self._clock() < self._next_at:
            self._num_left_out += 1
            return
        self._next_at = self._clock() + self._interval_s
        left_out, self._num_left_out = self._num_left_out, 0
        log.warning("tracing problem", problem=record.getMessage(), messages_left_out=left_out)


def log_export_problems() -> None:
    """Route all messages of OpenTelemetry through `ExportLog` only."""
    library = logging.getLogger(LIBRARY)
    library.handlers[:] = [ExportLog()]
    library.propagate = False
