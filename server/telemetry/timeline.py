"""The timeline of one request: its stages so far, and the current span of its trace."""

import time
from collections import defaultdict
from contextvars import ContextVar, Token
from typing import Any

from server.telemetry.trace_position import TracePosition


class Timeline:
    """When each stage of a request began and ended, on the clock of `time.perf_counter`."""

    __slots__ = ("_intervals", "started")

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self._intervals: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)

    def add(self, stage: str, start: float, end: float) -> None:
        """Add one run of a stage."""
        self._intervals[stage].append((start, end))

    def durations(self) -> dict[str, float]:
        """Return the seconds during which each stage ran, in the order of their ends.

        Simultaneous runs, such as those of several images, count once.
        """
        return {stage: _measure_union(runs) for stage, runs in self._intervals.items()}


class RequestContext:
    """The context that code working on a request finds without a parameter.

    `trace` is the request's current position in its trace, None without tracing.
    """

    __slots__ = ("timeline", "trace")

    def __init__(self, timeline: Timeline, trace: TracePosition | None = None) -> None:
        self.timeline = timeline
        self.trace = trace


_context: ContextVar[RequestContext | None] = ContextVar("request", default=None)


def get_request_context() -> RequestContext | None:
    """Return the context of the current request, None if nobody asks for times."""
    return _context.get()


def enter_request_context(context: RequestContext | None) -> Token[RequestContext | None]:
    """Set the context for the current task and tasks it starts; the token undoes that."""
    return _context.set(context)


def leave_request_context(token: Token[RequestContext | None]) -> None:
    """Restore the previous context."""
    _context.reset(token)


def annotate(name: str, value: Any) -> None:
    """Set an attribute of the current span, if there is one."""
    context = _context.get()
    if context is not None and context.trace is not None:
        context.trace.span.set_attribute(name, value)


def get_trace_id() -> str | None:
    """Return the id of the current request's trace, 32 hexadecimal digits; None without tracing."""
    context = _context.get()
    return None if context is None or context.trace is None else context.trace.trace_id


def build_trace_headers() -> dict[str, str] | None:
    """Return the W3C headers with which another program's spans join the current one."""
    context = _context.get()
    return None if context is None or context.trace is None else context.trace.build_headers()


def _measure_union(runs: list[tuple[float, float]]) -> float:
    """Return the length of the union of intervals."""
    total = 0.0
    covered_to = float("-inf")
    for start, end in sorted(runs):
        total += max(end - max(start, covered_to), 0.0)
        covered_to = max(covered_to, end)
    return total
