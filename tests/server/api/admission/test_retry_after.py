"""Retry times follow the measured rate and the number of clients refused."""

from server.api.admission.retry_after import (
    JITTER,
    MAX_CLIENTS,
    MAX_RETRY_S,
    MIN_RETRY_S,
    TRUST,
    RetryEstimator,
)


class Clock:
    """A clock that tests set."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def measured(rate: int, seconds: int = 20) -> tuple[RetryEstimator, Clock]:
    """Return an estimator that has seen `rate` requests finish each second."""
    clock = Clock()
    retries = RetryEstimator(clock)
    retries.record_started()
    for _ in range(seconds):
        clock.now += 1
        for _ in range(rate):
            retries.record_finished()
    return retries, clock


def test_the_rate_is_what_was_measured() -> None:
    retries, clock = measured(100)
    assert 95 < retries.rate() < 115
    clock.now += 60
    assert retries.rate() < 1


def test_before_anything_is_measured_the_shortest_time_is_told() -> None:
    retries = RetryEstimator(Clock())
    for client in range(100):
        assert MIN_RETRY_S <= retries.retry_after(client, 5) <= MIN_RETRY_S * (1 + JITTER)


def test_a_short_history_vouches_for_a_short_time() -> None:
    retries, _ = measured(1, seconds=2)
    assert retries.retry_after("a", 1000) <= (MIN_RETRY_S + TRUST * 2) * (1 + JITTER)


def test_the_longest_times_differ_too() -> None:
    retries, _ = measured(1, seconds=60)
    times = {retries.retry_after(client, 1000) for client in range(100)}
    assert max(times) <= MAX_RETRY_S
    assert len(times) == 100


def test_idle_time_does_not_count() -> None:
    retries, clock = measured(100)
    retries.record_idle()
    clock.now += 600
    assert 95 < retries.rate() < 115
    retries.record_started()
    clock.now += 60
    assert retries.rate() < 1


def test_refused_clients_are_spread_over_the_time_they_take() -> None:
    retries, _ = measured(100)
    times = [retries.retry_after(client, ahead=0) for client in range(2000)]
    assert min(times) == MIN_RETRY_S
    assert 15 < max(times) < 21 * (1 + JITTER)
    assert len(set(times)) > 1000


def test_a_client_that_comes_back_early_pushes_nobody_back() -> None:
    retries, _ = measured(100)
    for _ in range(5000):
        retries.retry_after("impatient", ahead=0)
    assert retries.retry_after("polite", ahead=0) <= MIN_RETRY_S * (1 + JITTER)


def test_a_client_is_early_until_its_time_has_passed() -> None:
    retries, clock = measured(100)
    assert not retries.is_early("a")
    seconds = retries.retry_after("a", ahead=0)
    assert retries.is_early("a")
    assert not retries.is_early("b")
    clock.now += seconds
    assert not retries.is_early("a")


def test_memory_is_bounded() -> None:
    retries, _ = measured(1)
    for client in range(MAX_CLIENTS + 10):
        assert retries.retry_after(client, ahead=0) <= MAX_RETRY_S
    assert len(retries._refused) == MAX_CLIENTS


def test_entries_expire() -> None:
    retries, clock = measured(100)
    for client in range(500):
        retries.retry_after(client, ahead=0)
    clock.now += MAX_RETRY_S
    for _ in range(100):
        retries.record_finished()
    retries.retry_after("later", ahead=0)
    assert len(retries._refused) == 1
