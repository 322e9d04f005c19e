"""One log line a second for refused requests, however many there are."""

import asyncio
from collections import Counter
from typing import Final

from server.telemetry.logs import get_logger

log = get_logger(__name__)

INTERVAL_S: Final = 1.0


class RefusalLog:
    """Counts refusals by error code and logs the counts once a second while there are any."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, code: str) -> None:
        """Count a refusal. Call it from the event loop."""
        if not self._counts:
            asyncio.get_running_loop().call_later(INTERVAL_S, self.flush)
        self._counts[code] += 1

    def flush(self) -> None:
        """Log the counts, if there are any."""
        if not self._counts:
            return
        log.info("requests refused", **dict(self._counts))
        self._counts.clear()
