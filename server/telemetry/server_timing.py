"""The header `Server-Timing`: how long each stage of a request took."""

import time

from server.telemetry.timeline import RequestContext


def format_server_timing(context: RequestContext) -> str:
    """Return the header's value: stages in milliseconds, the total, and the trace, if any.

    https://www.w3.org/TR/server-timing/; browsers' tracing libraries read `traceparent` there.
    """
    timeline = context.timeline
    durations = timeline.durations() | {"total": time.perf_counter() - timeline.started}
    metrics = [f"{stage};dur={seconds * 1000:.1f}" for stage, seconds in durations.items()]
    if context.trace is not None:
        metrics.append(f'traceparent;desc="{context.trace.traceparent}"')
    return ", ".join(metrics)
