"""Stages of requests: one measurement feeds the histogram, `Server-Timing` and the trace."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from server.telemetry.timeline import (
    RequestContext,
    enter_request_context,
    get_request_context,
    leave_request_context,
)

if TYPE_CHECKING:
    from prometheus_client import Histogram

    from server.telemetry.trace_position import TracePosition

Stage = Literal[
    "body",
    "queue",
    "grammar",
    "fetch",
    "load",
    "decode",
    "preprocess",
    "encode",
    "prompt",
    "first_token",
    "generation",
]


class Span:
    """A block of work as a span of the current request's trace; without tracing it does nothing."""

    __slots__ = ("_name", "_started", "_token", "context", "trace")

    def __init__(self, name: str) -> None:
        self._name = name
        self._token: Token[RequestContext | None] | None = None
        self.trace: TracePosition | None = None

    def __enter__(self) -> Self:
        """Begin the span; spans started in the block are below it."""
        self._started = time.perf_counter()
        self.context = context = get_request_context()
        if context is not None and context.trace is not None and context.trace.is_recorded:
            self.trace = context.trace.start(self._name)
            self._token = enter_request_context(RequestContext(context.timeline, self.trace))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the span; an error is its status."""
        if self.trace is not None and self._token is not None:
            leave_request_context(self._token)
            self.trace.end(error)

    def annotate(self, name: str, value: Any) -> None:
        """Set an attribute of the span."""
        if self.trace is not None:
            self.trace.span.set_attribute(name, value)


class TimedStage(Span):
    """A block of work that is a stage. If it raises, the histogram does not count it."""

    __slots__ = ("_histogram",)

    def __init__(self, name: Stage, histogram: "Histogram") -> None:
        super().__init__(name)
        self._histogram = histogram

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Record the duration."""
        ended = time.perf_counter()
        super().__exit__(kind, error, traceback)
        if error is None:
            self._histogram.observe(ended - self._started)
        if self.context is not None:
            self.context.timeline.add(self._name, self._started, ended)


def record_stage(name: Stage, histogram: "Histogram", start: float, end: float) -> None:
    """Record a stage that was measured elsewhere, from readings of `time.perf_counter`."""
    histogram.observe(end - start)
    context = get_request_context()
    if context is None:
        return
    context.timeline.add(name, start, end)
    if context.trace is not None and context.trace.is_recorded:
        context.trace.record(name, start, end)


@contextmanager
def batch_span(name: str, parts: Sequence[Span], **attributes: Any) -> Iterator[None]:
    """Record work that is done for several requests at once.

    Its span is below the first part's, and linked with those of the others.
    """
    traces = [part.trace for part in parts if part.trace is not None]
    if not traces:
        yield
        return
    batch = traces[0].start(name, links=traces[1:])
    for key, value in attributes.items():
        batch.span.set_attribute(f"llava.{key}", value)
    try:
        yield
    finally:
        batch.end(None)
