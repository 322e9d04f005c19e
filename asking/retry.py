"""When to ask again after a failure, and how long to wait before."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Statuses that another attempt may not meet; all of 5xx are added.
_PASSING = {408, 409, 425, 429}


class Transient(Exception):
    """A failure that may pass; `retry_after_s` is what the endpoint asked for, in seconds."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Patience:
    """`attempts` in all; waits in seconds, doubling from `backoff_s` up to `longest_s`.

    An endpoint that demands a longer wait than `longest_demanded_s` counts as failed.
    """

    attempts: int = 6
    backoff_s: float = 0.5
    longest_s: float = 30.0
    longest_demanded_s: float = 300.0

    def wait_s(self, failures: int, demanded_s: float | None) -> float | None:
        """Seconds until the next attempt after so many failures; None to give up.

        Never less than the endpoint demands. The jitter keeps requests that failed together from
        coming back together.
        """
        if failures >= self.attempts or (demanded_s or 0) > self.longest_demanded_s:
            return None
        backoff_s: float = min(self.backoff_s * 2 ** (failures - 1), self.longest_s)
        jitter_s = backoff_s * random.uniform(0.5, 1)  # noqa: S311 - guards nothing
        return demanded_s + jitter_s / 2 if demanded_s is not None else jitter_s


def may_pass(status: int) -> bool:
    """Whether the same request may succeed later."""
    return status in _PASSING or status >= 500


def retry_after_s(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait by a `Retry-After` header (RFC 9110, 10.2.3): seconds or a date."""
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
