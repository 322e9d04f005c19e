"""Permits: how many requests may be in the server at once."""

from types import TracebackType
from typing import Self

from server.errors import NotReady, TooManyRequests
from server.lifecycle import Lifecycle, State
from server.telemetry.metrics import Metrics


class Permit:
    """The right to be in the server, from arrival to the last byte. `release` is idempotent."""

    def __init__(self, admission: "Admission") -> None:
        self._admission: Admission | None = admission

    def release(self) -> None:
        """Give the permit back."""
        if self._admission is not None:
            self._admission.held -= 1
            self._admission = None

    def __enter__(self) -> Self:
        """Hold the permit for a block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release it."""
        self.release()


class Admission:
    """Grants permits while the server is ready and below its limit of concurrent requests."""

    def __init__(
        self, lifecycle: Lifecycle, *, limit: int, retry_after_s: int, metrics: Metrics
    ) -> None:
        self.held = 0
        self._lifecycle = lifecycle
        self._limit = limit
        self._retry_after_s = retry_after_s
        metrics.running.set_function(lambda: self.held)

    def acquire(self) -> Permit:
        """Take a permit without waiting. Raises `NotReady` (503) or `TooManyRequests` (429)."""
        if self._lifecycle.state is not State.READY:
            raise NotReady(
                f"The server takes no requests now: it is {self._lifecycle.state}.",
                retry_after=self._retry_after_s,
            )
        if self.held >= self._limit:
            raise TooManyRequests(
                f"The server is at its limit of {self._limit} requests at once.",
                retry_after=self._retry_after_s,
            )
        self.held += 1
        return Permit(self)
