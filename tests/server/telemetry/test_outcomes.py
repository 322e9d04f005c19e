"""Outcomes of requests that have no record."""

import asyncio

import pytest

from server.errors import BodyTooLarge, ClientGone
from server.telemetry.metrics import Metrics
from server.telemetry.outcomes import count_outcome
from tests.server.samples import sample

PATH = "/tokenize"


def test_a_request_that_went_well_is_counted_with_its_model() -> None:
    metrics = Metrics([PATH], ["m"])
    with count_outcome(metrics, PATH) as counted:
        counted.model = "m"
    assert sample(metrics, "requests_total", outcome="ok", endpoint=PATH, model="m") == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (BodyTooLarge("Large."), "request_too_large"),
        (ClientGone(), "cancelled"),
        (asyncio.CancelledError(), "cancelled"),
        (LookupError("a bug"), "internal_error"),
    ],
)
def test_errors_are_counted_by_their_codes(error: BaseException, outcome: str) -> None:
    metrics = Metrics([PATH])
    with pytest.raises(type(error)), count_outcome(metrics, PATH):
        raise error
    assert sample(metrics, "requests_total", outcome=outcome, endpoint=PATH, model="other") == 1
    assert sample(metrics, "requests_total") == 1
