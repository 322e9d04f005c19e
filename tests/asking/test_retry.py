"""How long to wait before another attempt."""

from datetime import UTC, datetime

import pytest

from asking.retry import Patience, may_pass, retry_after_s

NOW = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)


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
    assert retry_after_s(header, NOW) == seconds


def test_waits_double_up_to_the_longest() -> None:
    patience = Patience(attempts=9, backoff_s=1, longest_s=4)
    for failures, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 4.0)):
        wait_s = patience.wait_s(failures, None)
        assert wait_s is not None
        assert longest / 2 <= wait_s <= longest


def test_a_demanded_wait_is_never_cut_short() -> None:
    wait_s = Patience(backoff_s=0).wait_s(1, 7.0)
    assert wait_s == 7.0


def test_gives_up() -> None:
    assert Patience(attempts=3).wait_s(3, None) is None
    assert Patience(longest_demanded_s=60).wait_s(1, 61.0) is None


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_may_pass(status: int) -> None:
    assert may_pass(status)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_will_not_pass(status: int) -> None:
    assert not may_pass(status)
