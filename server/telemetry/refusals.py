"""Refusals: counted by their reason, and logged once a second."""

from prometheus_client import Counter

from server.telemetry.refusal_log import RefusalLog


class Refusals:
    """Counts what is refused before a route has it: requests, or connections."""

    def __init__(self, counter: Counter, log: RefusalLog) -> None:
        """`counter` has one label, the reason."""
        self._counter = counter
        self._log = log

    def add(self, reason: str) -> None:
        """Count one refusal, by its error code or the edge's reason."""
        self._counter.labels(reason).inc()
        self._log.add(reason)
