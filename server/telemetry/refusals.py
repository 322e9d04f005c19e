"""Refused requests: counted by error code, and logged once a second."""

from server.telemetry.metrics import Metrics
from server.telemetry.refusal_log import RefusalLog


class Refusals:
    """Where everything counts that refuses a request before a route has it."""

    def __init__(self, metrics: Metrics, log: RefusalLog) -> None:
        self._metrics = metrics
        self._log = log

    def add(self, code: str) -> None:
        """Count one refusal with an error code."""
        self._metrics.requests.labels(code).inc()
        self._log.add(code)
