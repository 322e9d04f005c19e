"""Requests are held against the limits of their keys."""

from typing import Any

import pytest

from server.api.rate_limits.key_usage import FIRST_TOKENS
from server.api.rate_limits.limiter import RateLimiter
from server.api.rate_limits.meter import RequestMeter
from server.errors import KeyLimitExceeded
from server.keys.key import ApiKey
from tests.server.keys.samples import build_key


class Limits:
    """A limiter on a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.refusals: list[tuple[str, str]] = []
        self.limiter = RateLimiter(lambda *refusal: self.refusals.append(refusal), lambda: self.now)

    def start(self, key: ApiKey, *, generates: bool = True) -> RequestMeter:
        """Begin a request. Raises `KeyLimitExceeded`."""
        self.limiter.check(key, generates=generates)
        return self.limiter.start(key, generates=generates)

    def refused(self, key: ApiKey, *, generates: bool = True) -> KeyLimitExceeded:
        """Return the refusal of a request."""
        with pytest.raises(KeyLimitExceeded) as caught:
            self.start(key, generates=generates)
        return caught.value

    def answer(self, key: ApiKey, num_tokens: int) -> None:
        """Begin a request and complete it."""
        meter = self.start(key)
        meter.charge_output_tokens(num_tokens)
        meter.release()

    def remaining(self, key: ApiKey) -> dict[str, int]:
        """Return what is left of each limit."""
        return {state.resource: state.remaining for state in self.limiter.look(key)}


@pytest.fixture
def limits() -> Limits:
    """Return the limiter."""
    return Limits()


def test_requests_a_minute(limits: Limits) -> None:
    key = build_key(requests_per_minute=2)
    limits.start(key)
    limits.now = 6.5
    limits.start(key).release()
    error = limits.refused(key)
    assert (error.status, error.code, error.outcome) == (
        429,
        "rate_limit_exceeded",
        "key_limit_exceeded",
    )
    assert error.retry_after == 54
    assert error.message == (
        "The API key 'alice' has used its 2 requests a minute: try again in 54 seconds."
    )
    assert limits.refusals == [("alice", "requests")]
    limits.now += error.retry_after or 0
    limits.start(key)
    limits.refused(key)


def test_a_refused_request_does_not_count(limits: Limits) -> None:
    key = build_key(requests_per_minute=1)
    limits.start(key)
    for limits.now in (10, 20, 30):
        limits.refused(key)
    limits.now = 60
    limits.start(key)


def test_requests_at_once(limits: Limits) -> None:
    key = build_key(concurrent_requests=2)
    first, _ = limits.start(key), limits.start(key)
    error = limits.refused(key)
    assert error.message == (
        "The API key 'alice' runs its 2 requests at once: try again in 1 second."
    )
    first.release()
    first.release()
    limits.start(key)
    limits.refused(key)
    assert not key.has_rate_limits


def test_image_tokens_refuse_requests_with_images_only(limits: Limits) -> None:
    key = build_key(image_tokens_per_minute=100)
    meter = limits.start(key)
    meter.check_image_tokens()
    meter.charge_image_tokens(576)  # larger than the limit: else it could never be sent
    meter.charge_image_tokens(576)  # of the same request
    later = limits.start(key)
    for refuse in (later.check_image_tokens, lambda: later.charge_image_tokens(1)):
        with pytest.raises(KeyLimitExceeded) as caught:
            refuse()
        assert caught.value.retry_after == 60
    limits.now = 60
    later.charge_image_tokens(1)
    assert limits.remaining(key) == {"image-tokens": 99}


def test_output_tokens_count_as_they_are_made(limits: Limits) -> None:
    key = build_key(output_tokens_per_minute=10)
    meter = limits.start(key)
    meter.charge_output_tokens(4)
    assert limits.remaining(key) == {"output-tokens": 6}
    meter.charge_output_tokens(30)
    error = limits.refused(key)
    assert error.retry_after == 60
    limits.start(key, generates=False)  # token counts are not held against it
    limits.now = 60
    meter.release()
    limits.start(key)


def test_running_requests_reserve_what_answers_took_lately(limits: Limits) -> None:
    key = build_key(output_tokens_per_minute=1000)
    for _ in range(60):
        limits.answer(key, 10)
        limits.now += 60
    running = [limits.start(key) for _ in range(100)]
    assert limits.refused(key).retry_after == 1
    for meter in running[:50]:
        meter.charge_output_tokens(2)
        meter.release()
    # 100 tokens are used, 500 reserved by those that run, and now two are expected.
    more = [limits.start(key) for _ in range(150)]
    assert limits.remaining(key) == {"output-tokens": 900}
    for meter in more + running:
        meter.release()
    assert limits.limiter._find(key)._reserved == 0


@pytest.mark.parametrize(("limit", "expected"), [(8_000_000, FIRST_TOKENS), (80, 10), (5, 0)])
def test_at_first_little_is_reserved(limits: Limits, limit: int, expected: int) -> None:
    key = build_key(output_tokens_per_minute=limit)
    limits.start(key)
    assert limits.limiter._find(key).expected_tokens == expected


def test_a_flood_exceeds_the_limit_by_no_more_than_was_let_in(limits: Limits) -> None:
    key = build_key(output_tokens_per_minute=400)
    meters = []
    for _ in range(1000):
        try:
            meters.append(limits.start(key))
        except KeyLimitExceeded:
            continue
    assert len(meters) == 8
    for meter in meters:
        meter.charge_output_tokens(500)
    assert limits.remaining(key) == {"output-tokens": 0}


def test_limits_may_change_and_what_was_used_stays(limits: Limits) -> None:
    key: dict[str, Any] = {"requests_per_minute": 1, "output_tokens_per_minute": 100}
    limits.answer(build_key(**key), 40)
    changed = build_key(**key | {"requests_per_minute": 5, "secret": "rotated"})
    limits.start(changed)
    assert limits.remaining(changed) == {"requests": 4, "output-tokens": 60}
    limits.limiter.forget_all_but([])
    assert limits.remaining(changed) == {"requests": 5, "output-tokens": 100}


def test_keys_are_apart(limits: Limits) -> None:
    limits.start(build_key("alice", requests_per_minute=1))
    limits.start(build_key("bob", requests_per_minute=1))
    limits.refused(build_key("alice", requests_per_minute=1))
