"""The server's lifecycle: loading, ready, draining, failed."""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from server.errors import ApiError, EngineUnavailable, NotReady
from server.telemetry.logs import get_logger

log = get_logger(__name__)

# The event loop ticks ten times a second. After this many seconds without a tick it counts as hung;
# imports at the start block it for some.
MAX_TICK_INTERVAL_S: Final = 60.0
# The same once the server is ready, when nothing may block the loop: others then get its requests.
MAX_READY_TICK_INTERVAL_S: Final = 5.0
# Seconds after which a client may try again: at another server, or at this one's successor.
RETRY_AFTER_S: Final = 1


class State(StrEnum):
    """The states of the lifecycle."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class Lifecycle:
    """Decides whether the server takes requests, and when it exits."""

    def __init__(self, drain_timeout_s: float) -> None:
        self.state = State.LOADING
        self.reason: str | None = None  # why it failed
        self.on_failure: Callable[[], None] | None = None  # called before any client gets an error
        self._last_tick = time.monotonic()
        self._drain_timeout_s = drain_timeout_s
        self._deadline = float("inf")
        self._exit_at = 0.0  # after a failure

    @property
    def is_overdue(self) -> bool:
        """Whether requests in flight must end now: the server failed, or its drain timed out."""
        return self.state is State.FAILED or time.monotonic() >= self._deadline

    @property
    def is_stuck(self) -> bool:
        """Whether the event loop hangs: another thread, such as the admin port's, may ask."""
        return self._hangs(MAX_TICK_INTERVAL_S)

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken, and the event loop does not hang."""
        return self.state is State.READY and not self._hangs(MAX_READY_TICK_INTERVAL_S)

    @property
    def exit_code(self) -> int:
        """The process's exit code: 1 after a failure, else 0."""
        return 1 if self.state is State.FAILED else 0

    def record_tick(self) -> None:
        """Record that the event loop runs."""
        self._last_tick = time.monotonic()

    def mark_ready(self) -> None:
        """Take requests from now on, unless the server already drains or has failed.

        The event loop calls it.
        """
        self.record_tick()
        if self.state is State.LOADING:
            self.state = State.READY

    def drain(self) -> None:
        """Refuse new requests; those in flight may finish. A second call ends the wait."""
        if self.state is State.FAILED:
            return
        self._deadline = 0.0
        if self.state is not State.DRAINING:
            self._deadline = time.monotonic() + self._drain_timeout_s
            log.info("draining", limit_s=self._drain_timeout_s)
        self.state = State.DRAINING

    def fail(self, reason: str, linger_s: float = 0.0) -> None:
        """Fail: the process exits with 1, after `linger_s` seconds in which `/ready` says why.

        `reason` gives cause and remedy.
        """
        self._exit_at = time.monotonic() + linger_s
        log.error("server failed", reason=reason)
        self.reason = reason
        self.state = State.FAILED
        if self.on_failure is not None:
            self.on_failure()

    def should_exit(self, requests_in_flight: int) -> bool:
        """Return whether the server should stop listening and exit."""
        if self.state is State.DRAINING:
            return requests_in_flight == 0 or self.is_overdue
        return self.state is State.FAILED and time.monotonic() >= self._exit_at

    def build_exit_error(self) -> ApiError:
        """Return the error of the requests that are in flight when the server exits."""
        if self.state is State.FAILED:
            return EngineUnavailable("The engine failed while it worked on the request.")
        return NotReady("The server is shutting down.", retry_after=RETRY_AFTER_S)

    def _hangs(self, max_interval_s: float) -> bool:
        return time.monotonic() - self._last_tick > max_interval_s
