"""Permits: given while the server is ready and below its limit, and given back once."""

import pytest

from server.api.admission import Admission
from server.errors import NotReady, TooManyRequests
from server.lifecycle import Lifecycle
from server.telemetry.metrics import Metrics
from tests.server.samples import sample


@pytest.fixture
def lifecycle() -> Lifecycle:
    """Return the life of a server that is ready."""
    lifecycle = Lifecycle(drain_timeout_s=10)
    lifecycle.mark_ready()
    return lifecycle


@pytest.fixture
def admission(lifecycle: Lifecycle, metrics: Metrics) -> Admission:
    """Return two permits."""
    return Admission(lifecycle, limit=2, retry_after_s=7, metrics=metrics)


def test_the_limit_is_exact(admission: Admission, metrics: Metrics) -> None:
    with admission.acquire(), admission.acquire():
        assert admission.held == 2
        assert sample(metrics, "num_requests_running") == 2
        with pytest.raises(TooManyRequests) as caught:
            admission.acquire()
        assert caught.value.retry_after == 7
        assert "limit of 2 requests" in caught.value.message
        assert admission.held == 2
    assert admission.held == 0
    assert sample(metrics, "num_requests_running") == 0


def test_a_permit_given_back_can_be_had_again(admission: Admission) -> None:
    first, second = admission.acquire(), admission.acquire()
    first.release()
    third = admission.acquire()
    assert admission.held == 2
    second.release()
    third.release()
    assert admission.held == 0


def test_releasing_twice_is_harmless(admission: Admission) -> None:
    with admission.acquire() as permit, admission.acquire():
        permit.release()
        permit.release()
        assert admission.held == 1
    assert admission.held == 0


def test_a_block_that_fails_gives_its_permit_back(admission: Admission) -> None:
    with pytest.raises(LookupError), admission.acquire():
        raise LookupError
    assert admission.held == 0


def test_none_before_the_model_is_loaded(metrics: Metrics) -> None:
    admission = Admission(Lifecycle(10), limit=2, retry_after_s=7, metrics=metrics)
    with pytest.raises(NotReady, match="loading") as caught:
        admission.acquire()
    assert caught.value.retry_after == 7
    assert admission.held == 0


def test_none_while_draining_but_those_held_stay(
    admission: Admission, lifecycle: Lifecycle
) -> None:
    with admission.acquire():
        lifecycle.drain()
        with pytest.raises(NotReady, match="draining"):
            admission.acquire()
        assert admission.held == 1
    assert admission.held == 0


def test_none_after_a_failure(admission: Admission, lifecycle: Lifecycle) -> None:
    lifecycle.fail("the engine died")
    with pytest.raises(NotReady, match="failed"):
        admission.acquire()


def test_not_ready_goes_before_full(admission: Admission, lifecycle: Lifecycle) -> None:
    with admission.acquire(), admission.acquire():
        lifecycle.drain()
        with pytest.raises(NotReady):
            admission.acquire()
