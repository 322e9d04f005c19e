"""The retry policy: delays, the last attempt, `Retry-After`, statuses."""

from datetime import UTC, datetime

import pytest
from tenacity import RetryCallState, Retrying

from asking.retry import RetryableError, RetryPolicy, is_retryable_status, parse_retry_after

NOW = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)


def failed_attempt(number: int, retry_after_s: float | None = None) -> RetryCallState:
    """Return tenacity's state after this attempt has failed."""
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = number
    error = RetryableError("busy", retry_after_s)
    state.set_exception((type(error), error, None))
    return state


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("Wed, 01 May 2024 12:00:30 GMT", 30.0),
        ("Wed, 01 May 2024 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds


def test_waits_double_up_to_the_longest() -> None:
    policy = RetryPolicy(attempts=9, backoff_s=1, max_backoff_s=4)
    for failures, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 4.0)):
        assert not policy.should_stop(failed_attempt(failures))
        wait_s = policy.compute_wait_s(failed_attempt(failures))
        assert longest / 2 <= wait_s <= longest


def test_retry_after_is_never_cut_short() -> None:
    wait_s = RetryPolicy(backoff_s=0).compute_wait_s(failed_attempt(1, 7.0))
    assert wait_s == 7.0


def test_gives_up() -> None:
    assert RetryPolicy(attempts=3).should_stop(failed_attempt(3))
    assert RetryPolicy(max_retry_after_s=60).should_stop(failed_attempt(1, 61.0))


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_retryable_statuses(status: int) -> None:
    assert is_retryable_status(status)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_final_statuses(status: int) -> None:
    assert not is_retryable_status(status)
