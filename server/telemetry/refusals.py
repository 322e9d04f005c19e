"""Counts refusals by reason, and logs them once a second with the refused clients."""

from prometheus_client import Counter

from server.errors import TooManyRequests
from server.telemetry.metrics import Metrics
from server.telemetry.refusal_log import RefusalLog


class Refusals:
    """Counts refused connections."""

    def __init__(self, counter: Counter, log: RefusalLog) -> None:
        """`counter` has one label, the reason."""
        self._counter = counter
        self._log = log

    def add(self, reason: str, client: str | None) -> None:
        """Count one refusal, by the edge's reason; `client` is the address, if any."""
        self._counter.labels(reason).inc()
        self._log.add(reason, client)


class RequestRefusals:
    """Counts requests that are refused before they reach a route."""

    def __init__(self, metrics: Metrics, log: RefusalLog) -> None:
        self._metrics = metrics
        self._log = log

    def add(self, code: str, path: str, client: str | None, key: str | None = None) -> None:
        """Count one refusal, by its error code; `key` names the client's key in logs."""
        self._metrics.of_request(path, None).count(code)
        if code == TooManyRequests.code:
            self._metrics.keys.add_overload(key)
        self._log.add(code, client, key)
