"""What a request leaves behind: figures, and one line in the log."""

import asyncio
from collections.abc import Iterator

import pytest
import structlog
from structlog.typing import EventDict

from server.errors import ApiError, ClientGone, ImageCorrupt, TooManyRequests
from server.generation.chunk_writer import build_usage
from server.telemetry.caller import ANYBODY
from server.telemetry.metrics import Metrics
from server.telemetry.refusal_log import RefusalLog
from server.telemetry.request_record import RequestRecord
from tests.server.samples import sample, stage_count

HISTOGRAMS = (
    "time_to_first_token_seconds_count",
    "inter_token_latency_seconds_count",
    "e2e_request_latency_seconds_count",
)


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    """Return the log lines written meanwhile."""
    with structlog.testing.capture_logs() as lines:
        yield lines


def finished(metrics: Metrics, *, stream: bool) -> RequestRecord:
    """Run a request of 100 tokens that is answered with 2 and then 3."""
    with RequestRecord("chatcmpl-1", metrics, ANYBODY) as record:
        record.model, record.stream, record.images = "m", stream, 2
        record.record_submission(prompt_tokens=100, image_tokens=64)
        record.record_first_token(0.25)
        record.record_tokens(2)
        record.record_tokens(0)
        record.record_tokens(3)
        record.mark_complete()
    return record


def test_counters_of_a_request_that_went_well(metrics: Metrics) -> None:
    record = finished(metrics, stream=True)
    assert sample(metrics, "requests_total", outcome="ok") == 1
    assert sample(metrics, "prompt_tokens_total") == 100
    assert sample(metrics, "image_tokens_total") == 64
    assert sample(metrics, "generation_tokens_total") == 5
    assert [sample(metrics, name) for name in HISTOGRAMS] == [1, 3, 1]
    assert stage_count(metrics, "first_token") == 1
    assert sample(metrics, "stage_seconds_sum", stage="first_token") == 0.25
    assert sample(metrics, "time_to_first_token_seconds_sum") >= 0.25
    assert build_usage(record).total_tokens == 105


def test_without_a_stream_there_is_no_time_between_tokens(metrics: Metrics) -> None:
    finished(metrics, stream=False)
    assert [sample(metrics, name) for name in HISTOGRAMS] == [1, 0, 1]


def test_usage_grows_with_the_answer(metrics: Metrics) -> None:
    record = RequestRecord("1", metrics, ANYBODY)
    record.record_submission(prompt_tokens=10, image_tokens=4)
    record.cached_tokens = 3
    assert (build_usage(record).prompt_tokens, build_usage(record).completion_tokens) == (10, 0)
    record.record_tokens(7)
    assert build_usage(record).model_dump() == {
        "prompt_tokens": 10,
        "completion_tokens": 7,
        "total_tokens": 17,
        "prompt_tokens_details": {
            "cached_tokens": 3,
            "image_tokens": 4,
            "video_tokens": 0,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def test_waiting_ends_with_the_first_token(metrics: Metrics) -> None:
    with (
        RequestRecord("1", metrics, ANYBODY) as record,
        RequestRecord("2", metrics, ANYBODY) as other,
    ):
        assert sample(metrics, "num_requests_waiting") == 0  # still uploading
        for each in (record, other):
            each.record_request("m", 0, stream=False)
        assert sample(metrics, "num_requests_waiting") == 2
        record.record_first_token(0.1)
        assert sample(metrics, "num_requests_waiting") == 1
    assert sample(metrics, "num_requests_waiting") == 0


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ImageCorrupt("Broken.", "messages[0]"), "image_corrupt"),
        (TooManyRequests("Full."), "rate_limit_exceeded"),
        (ClientGone(), "cancelled"),
        (asyncio.CancelledError(), "cancelled"),
        (LookupError("a bug"), "internal_error"),
    ],
)
def test_outcomes_of_errors(
    error: BaseException, outcome: str, metrics: Metrics, lines: list[EventDict]
) -> None:
    with pytest.raises(type(error)), RequestRecord("1", metrics, ANYBODY):
        raise error
    assert sample(metrics, "requests_total", outcome=outcome) == 1
    assert sample(metrics, "num_requests_waiting") == 0
    assert [sample(metrics, name) for name in HISTOGRAMS] == [0, 0, 0]
    assert [line["outcome"] for line in lines] == [outcome]
    assert "a bug" not in repr(lines)


def test_an_error_sent_in_the_stream_is_the_outcome(metrics: Metrics) -> None:
    with RequestRecord("1", metrics, ANYBODY) as record:
        record.record_first_token(0.1)
        record.mark_failed(ApiError("Oops."))
    assert sample(metrics, "requests_total", outcome="internal_error") == 1
    assert [sample(metrics, name) for name in HISTOGRAMS] == [1, 0, 0]


def test_whoever_leaves_before_the_end_cancelled(metrics: Metrics) -> None:
    with RequestRecord("1", metrics, ANYBODY) as record:
        record.record_submission(100, 64)
        record.record_first_token(0.1)
        record.record_tokens(2)
    assert sample(metrics, "requests_total", outcome="cancelled") == 1
    assert sample(metrics, "generation_tokens_total") == 2
    assert sample(metrics, "e2e_request_latency_seconds_count") == 0


def test_one_line_a_request(metrics: Metrics, lines: list[EventDict]) -> None:
    finished(metrics, stream=True)
    (line,) = lines
    first_token_s, elapsed_s = line.pop("first_token_s"), line.pop("elapsed_s")
    assert first_token_s >= 0.25
    assert elapsed_s >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "id": "chatcmpl-1",
        "request_id": None,
        "endpoint": None,
        "client": None,
        "key": None,
        "trace_id": None,
        "status": 200,
        "model": "m",
        "outcome": "ok",
        "stream": True,
        "images": 2,
        "videos": 0,
        "notes": None,
        "prompt_tokens": 100,
        "completion_tokens": 5,
    }


def test_the_line_of_a_request_that_never_got_anywhere(
    metrics: Metrics, lines: list[EventDict]
) -> None:
    with RequestRecord("1", metrics, ANYBODY):
        pass
    (line,) = lines
    assert line["first_token_s"] is None
    assert line["model"] is None
    assert line["outcome"] == "cancelled"


async def test_refusals_for_want_of_capacity_share_log_lines(
    metrics: Metrics, lines: list[EventDict]
) -> None:
    refusals = RefusalLog()
    for _ in range(3):
        with (
            pytest.raises(TooManyRequests),
            RequestRecord("1", metrics, ANYBODY, refusals=refusals),
        ):
            raise TooManyRequests("Full.")
    assert sample(metrics, "requests_total", outcome="rate_limit_exceeded") == 3
    assert lines == []
    refusals.flush()
    assert lines == [{"event": "requests refused", "log_level": "info", "rate_limit_exceeded": 3}]
