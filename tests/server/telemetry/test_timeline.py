"""Timelines: stages that overlap count once; `Server-Timing` tells them."""

import asyncio
import re

from server.telemetry.server_timing import format_server_timing
from server.telemetry.timeline import (
    RequestContext,
    Timeline,
    annotate,
    build_trace_headers,
    enter_request_context,
    get_request_context,
    get_trace_id,
    leave_request_context,
)


def test_runs_at_the_same_time_count_once() -> None:
    timeline = Timeline()
    for start, end in ((1.0, 3.0), (2.0, 4.0), (2.5, 2.75), (6.0, 7.0)):
        timeline.add("decode", start, end)
    timeline.add("prompt", 8.0, 8.5)
    assert timeline.durations() == {"decode": 4.0, "prompt": 0.5}


def test_server_timing_has_milliseconds_and_the_total() -> None:
    context = RequestContext(Timeline())
    context.timeline.add("queue", 1.0, 1.0021)
    context.timeline.add("first_token", 2.0, 2.25)
    assert re.fullmatch(
        r"queue;dur=2\.1, first_token;dur=250\.0, total;dur=\d+\.\d", format_server_timing(context)
    )


async def test_tasks_inherit_the_context_and_others_do_not() -> None:
    async def look() -> RequestContext | None:
        return get_request_context()

    context = RequestContext(Timeline())
    token = enter_request_context(context)
    inside = asyncio.create_task(look())
    leave_request_context(token)
    assert await inside is context
    assert await look() is None


def test_without_a_request_there_is_no_trace() -> None:
    annotate("key", "value")
    assert get_trace_id() is None
    assert build_trace_headers() is None
