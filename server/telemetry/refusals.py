"""Refusals: counted by their reason, and logged once a second."""

from prometheus_client import Counter

from server.telemetry.metrics import Metrics
from server.telemetry.refusal_log import RefusalLog


class Refusals:
    """Counts the connections that are refused."""

    def __init__(self, counter: Counter, log: RefusalLog) -> None:
        """`counter` has one label, the reason."""
        self._counter = counter
        self._log = log

    def add(self, reason: str) -> None:
        """Count one refusal, by the edge's reason."""
        self._counter.labels(reason).inc()
        self._log.add(reason)


class RequestRefusals:
    """Counts the requests that are refused before a route has them."""

    def __init__(self, metrics: Metrics, log: RefusalLog) -> None:
        self._metrics = metrics
        self._log = log

    def add(self, code: str, path: str) -> None:
        """Count one refusal, by its error code."""
        self._metrics.of_request(path, None).count(code)
        self._log.add(code)
