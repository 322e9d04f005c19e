"""The retry policy of HTTP requests: which failures are retried, and after which delay."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from tenacity import RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential

# Besides these, every 5xx is retried.
_RETRYABLE_STATUSES: Final = {408, 409, 425, 429}


class RetryableError(Exception):
    """A temporary failure; `retry_after_s` is the endpoint's `Retry-After`, in seconds."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class ConnectionFailed(RetryableError):
    """No connection to the endpoint; it may be starting."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter, under the endpoint's `Retry-After`.

    `attempts` counts the first one. The backoff doubles from `backoff_s` up to `max_backoff_s`.
    A `Retry-After` above `max_retry_after_s` ends the attempts.
    """

    attempts: int = 6
    backoff_s: float = 0.5
    max_backoff_s: float = 30.0
    max_retry_after_s: float = 300.0

    def build_tenacity_options(self) -> dict[str, Any]:
        """Return the arguments of tenacity's `Retrying` and `AsyncRetrying`."""
        return {
            "retry": retry_if_exception_type(RetryableError),
            "stop": self.should_stop,
            "wait": self.compute_wait_s,
        }

    def should_stop(self, state: RetryCallState) -> bool:
        """Whether the attempts are used up or `Retry-After` is too long."""
        too_long = (_retry_after_s(state) or 0) > self.max_retry_after_s
        return too_long or stop_after_attempt(self.attempts)(state)

    def compute_wait_s(self, state: RetryCallState) -> float:
        """Return the seconds until the next attempt, never fewer than `Retry-After`.

        The jitter spreads the retries of requests that failed together.
        """
        backoff_s = wait_exponential(self.backoff_s, max=self.max_backoff_s)(state)
        jitter_s = backoff_s * random.uniform(0.5, 1)  # noqa: S311 - not for security
        retry_after_s = _retry_after_s(state)
        return jitter_s if retry_after_s is None else retry_after_s + jitter_s / 2


def _retry_after_s(state: RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after_s if isinstance(error, RetryableError) else None


def is_retryable_status(status: int) -> bool:
    """Whether the same request may succeed later."""
    return status in _RETRYABLE_STATUSES or status >= 500


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds of a `Retry-After` header, a number or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if value.strip().replace(".", "", 1).isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max((date - (now or datetime.now(UTC))).total_seconds(), 0.0)
