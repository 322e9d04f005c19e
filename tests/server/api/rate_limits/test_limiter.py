"""Requests are held against the limits of their keys."""

from contextlib import suppress
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
        return {state.resource: state.remaining for state in self.limiter.states(key.name)}


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
        "The API key 'alice' is at its limit of 2 concurrent requests: try again in 1 second."
    )
    first.release()
    first.release()
    limits.start(key)
    limits.refused(key)
    assert not key.rate_limits


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
        assert caught.value.retry_after == 660  # 1152 tokens at 100 a minute
    limits.now = 660
    later.charge_image_tokens(1)
    assert limits.remaining(key) == {"image-tokens": 47}


def test_output_tokens_count_as_they_are_made(limits: Limits) -> None:
    key = build_key(output_tokens_per_minute=10)
    meter = limits.start(key)
    meter.charge_output_tokens(4)
    assert limits.remaining(key) == {"output-tokens": 6}
    meter.charge_output_tokens(30)
    error = limits.refused(key)
    assert error.retry_after == 180
    limits.start(key, generates=False)  # token counts are not held against it
    limits.now = 180
    meter.release()
    limits.start(key)


def test_running_requests_reserve_what_answers_took_lately(limits: Limits) -> None:
    key = build_key(output_tokens_per_minute=1000)
    for _ in range(60):
        limits.answer(key, 10)
        limits.now += 60
    running = [limits.start(key) for _ in range(100)]
    limits.refused(key)
    for meter in running[:50]:
        meter.charge_output_tokens(2)
        meter.release()
    # 100 tokens are used, 500 reserved by those that run, and now two are expected.
    more = [limits.start(key) for _ in range(150)]
    assert limits.remaining(key) == {"output-tokens": 100}
    for meter in more + running:
        meter.release()
    assert limits.remaining(key) == {"output-tokens": 900}
    assert limits.limiter._find(key)._reserved == 0


@pytest.mark.parametrize(("limit", "expected"), [(8_000_000, FIRST_TOKENS), (80, 10), (5, 1)])
def test_at_first_little_is_reserved(limits: Limits, limit: int, expected: int) -> None:
    key = build_key(output_tokens_per_minute=limit)
    limits.start(key)
    assert limits.limiter._find(key).expected_tokens == expected


def test_running_requests_reserve_what_they_ask_for(limits: Limits) -> None:
    key = build_key(output_tokens_per_minute=1000)
    first, second, third = [limits.start(key) for _ in range(3)]  # before a body is read
    first.reserve_output_tokens(400)
    second.reserve_output_tokens(4096)  # larger than the limit: else it could never be sent
    with pytest.raises(KeyLimitExceeded):
        third.reserve_output_tokens(1)
    limits.refused(key)
    second.release()
    third.reserve_output_tokens(600)
    for meter in (first, third):
        meter.release()
    assert limits.limiter._find(key)._reserved == 0


def test_running_requests_that_reserve_all_are_told(limits: Limits) -> None:
    """Nobody knows when they end: who comes back in vain waits as long as before, once more."""
    key = build_key(output_tokens_per_minute=1000)
    meter = limits.start(key)
    meter.reserve_output_tokens(1000)
    waits = []
    while limits.now < 300:
        waits.append(limits.refused(key).retry_after or 0)
        limits.now += waits[-1]
    assert waits == [1, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert limits.refused(key).message == (
        "Running requests of the API key 'alice' have reserved what is left of its 1000 output"
        " tokens a minute: try again in 60 seconds."
    )
    (state,) = limits.limiter.states("alice")
    assert (state.remaining, state.reset_s) == (0, 60)
    meter.release()
    limits.start(key)
    assert limits.remaining(key) == {"output-tokens": 936}


def test_who_waited_for_earlier_requests_does_not_wait_for_new_ones(limits: Limits) -> None:
    key = build_key(concurrent_requests=1)
    for limits.now in (0, 1000):
        meter = limits.start(key)
        limits.now += 2
        assert limits.refused(key).retry_after == 2
        meter.release()


def test_running_requests_are_expected_to_take_their_usual_time(limits: Limits) -> None:
    key = build_key(output_tokens_per_minute=1000, concurrent_requests=2)
    meter = limits.start(key)
    limits.now = 20
    meter.charge_output_tokens(10)
    meter.release()
    limits.now = 100
    meters = [limits.start(key), limits.start(key)]
    for limits.now, wait in ((105, 15), (119.5, 15), (125, 25), (170, 60)):
        assert limits.refused(key).retry_after == wait
    assert limits.refused(key).message == (
        "The API key 'alice' is at its limit of 2 concurrent requests: try again in 60 seconds."
    )
    meters.pop().release()
    meters[0].reserve_output_tokens(1000)
    assert limits.refused(key).retry_after == 60


def test_what_leaves_the_window_makes_room_beside_what_is_reserved(limits: Limits) -> None:
    key = build_key(output_tokens_per_minute=1000)
    meter = limits.start(key)
    limits.now = 40
    meter.charge_output_tokens(600)
    meter.release()
    limits.now = 80
    limits.start(key).reserve_output_tokens(500)
    assert limits.refused(key).retry_after == 20  # the usual time would be 40
    limits.now = 100
    limits.start(key)


def test_a_request_that_is_taken_back_does_not_count(limits: Limits) -> None:
    key = build_key(requests_per_minute=2)
    limits.start(key)
    limits.now = 30
    meter = limits.start(key)
    for _ in range(2):
        meter.take_back()
        assert limits.remaining(key) == {"requests": 1}
    meter.release()
    meter.take_back()
    limits.limiter.count(key)
    assert limits.refused(key).retry_after == 30
    assert limits.limiter._find(key).is_running


def test_what_is_left_is_told_once_nothing_more_is_generated(limits: Limits) -> None:
    key = build_key(output_tokens_per_minute=100)
    meter = limits.start(key)
    meter.reserve_output_tokens(80)
    assert limits.remaining(key) == {"output-tokens": 20}
    meter.mark_submitted()
    meter.charge_output_tokens(7)
    for end in (meter.end_generation, meter.end_generation, meter.release):
        end()
        assert limits.remaining(key) == {"output-tokens": 93}


def test_an_answer_that_is_cut_short_counts_as_reserved(limits: Limits) -> None:
    key = build_key(output_tokens_per_minute=100)
    for is_submitted, remaining in ((False, 100), (True, 20)):
        meter = limits.start(key)
        meter.reserve_output_tokens(80)
        if is_submitted:
            meter.mark_submitted()
        meter.release()
        (state,) = limits.limiter.states(key.name)
        assert state.remaining == remaining


@pytest.mark.parametrize(("num_short", "length"), [(25, 1500), (0, 4096), (1, 30)])
def test_bursts_do_not_exceed_the_limit_in_the_long_run(
    limits: Limits, num_short: int, length: int
) -> None:
    """Many short answers let the next ones be expected to be short, too."""
    key = build_key(output_tokens_per_minute=1000)
    used, burst = 0, 48 * length
    while limits.now < 6 * 3600:
        meters: list[RequestMeter] = []
        with suppress(KeyLimitExceeded):
            for _ in range(num_short):
                limits.answer(key, 1)
                used += 1
            meters.extend(limits.start(key) for _ in range(48))
        limits.now += 10
        for meter in meters:
            meter.charge_output_tokens(length)
            meter.release()
            used += length
    assert used <= 1000 * 6 * 60 + 1000 + burst


def test_limits_may_change_and_what_was_used_stays(limits: Limits) -> None:
    key: dict[str, Any] = {"requests_per_minute": 1, "output_tokens_per_minute": 100}
    limits.answer(build_key(**key), 40)
    changed = build_key(**key | {"requests_per_minute": 5, "secret": "rotated"})
    limits.start(changed).release()
    assert limits.remaining(changed) == {"requests": 3, "output-tokens": 60}
    assert limits.limiter.forget_all_but([]) == set()
    limits.limiter.check(changed, generates=True)
    assert limits.remaining(changed) == {"requests": 5, "output-tokens": 100}


def test_to_tell_limits_neither_changes_nor_makes_them(limits: Limits) -> None:
    """A request that began before its key was changed tells its limits when it answers."""
    limits.start(build_key(requests_per_minute=100)).release()
    changed = build_key(requests_per_minute=3)
    limits.start(changed)
    assert limits.remaining(build_key(requests_per_minute=100)) == {"requests": 1}
    limits.start(changed)
    limits.refused(changed)
    assert limits.remaining(build_key("removed", requests_per_minute=1)) == {}
    assert list(limits.limiter._usages) == ["alice"]


def test_requests_of_a_key_that_comes_back_still_count(limits: Limits) -> None:
    key = build_key(concurrent_requests=1)
    running = limits.start(key)
    assert limits.limiter.forget_all_but([]) == {"alice"}
    limits.refused(key)
    running.release()
    limits.start(key)


def test_keys_are_apart(limits: Limits) -> None:
    limits.start(build_key("alice", requests_per_minute=1))
    limits.start(build_key("bob", requests_per_minute=1))
    limits.refused(build_key("alice", requests_per_minute=1))
