"""The server's life: loading, ready, draining, failed."""

import time
from enum import StrEnum

from server.telemetry.logs import get_logger

log = get_logger(__name__)


class State(StrEnum):
    """Where the server is in its life."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class Lifecycle:
    """The one place that knows whether the server takes requests, and when it has to go."""

    def __init__(self, drain_timeout_s: float) -> None:
        self.state = State.LOADING
        self._drain_timeout_s = drain_timeout_s
        self._deadline = float("inf")

    @property
    def exit_code(self) -> int:
        """What the process returns: 0 unless something broke."""
        return 1 if self.state is State.FAILED else 0

    def ready(self) -> None:
        """Take requests from now on, unless the server is going already."""
        if self.state is State.LOADING:
            self.state = State.READY

    def drain(self) -> None:
        """Take no more requests; those in flight may finish. A second call ends the waiting."""
        if self.state is State.FAILED:
            return
        self._deadline = 0.0
        if self.state is not State.DRAINING:
            self._deadline = time.monotonic() + self._drain_timeout_s
            log.info("draining", limit_s=self._drain_timeout_s)
        self.state = State.DRAINING

    def fail(self, reason: str) -> None:
        """Give up: the process will exit non-zero."""
        log.error("server failed", reason=reason)
        self.state = State.FAILED

    def over(self, requests_in_flight: int) -> bool:
        """Tell whether the server should stop listening and exit."""
        if self.state is State.DRAINING:
            return requests_in_flight == 0 or time.monotonic() >= self._deadline
        return self.state is State.FAILED
