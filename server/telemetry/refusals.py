"""Refusals: counted by their reason, and logged once a second with who is refused."""

from prometheus_client import Counter

from server.errors import TooManyRequests
from server.telemetry.metrics import Metrics
from server.telemetry.refusal_log import RefusalLog


class Refusals:
    """Counts the connections that are refused."""

    def __init__(self, counter: Counter, log: RefusalLog) -> None:
        """`counter` has one label, the reason."""
        self._counter = counter
        self._log = log

    def add(self, reason: str, client: str | None) -> None:
        """Count one refusal, by the edge's reason; `client` is the address, where there is one."""
        self._counter.labels(reason).inc()
        self._log.add(reason, client)


class RequestRefusals:
    """Counts the requests that are refused before a route has them."""

    def __init__(self, metrics: Metrics, log: RefusalLog) -> None:
        self._metrics = metrics
        self._log = log

    def add(self, code: str, path: str, client: str | None, key: str | None = None) -> None:
        """Count one refusal, by its error code; `key` is what logs call the client's key."""
        self._metrics.of_request(path, None).count(code)
        if code == TooManyRequests.code:
            self._metrics.keys.add_overload(key)
        self._log.add(code, client, key)
