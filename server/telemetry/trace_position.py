"""A position in a trace: a span, and the tracer that starts others below it."""

import time
from asyncio import CancelledError
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from server.errors import ApiError, ClientGone

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext, Tracer


class TracePosition:
    """A span, and the tracer that starts others below it."""

    __slots__ = ("_tracer", "span")

    def __init__(self, tracer: "Tracer", span: "Span") -> None:
        self._tracer = tracer
        self.span = span

    @property
    def is_recorded(self) -> bool:
        """Whether the trace is sampled."""
        return self.span.is_recording()

    @property
    def trace_id(self) -> str:
        """The trace's id: 32 hexadecimal digits."""
        return f"{self._context.trace_id:032x}"

    def start(self, name: str, links: Sequence["TracePosition"] = ()) -> "TracePosition":
        """Start a span below this one; `links` and it point to each other."""
        from opentelemetry.trace import Link

        span = self._start(name, None, [Link(each._context) for each in links])
        for each in links:
            each.span.add_link(span.get_span_context())
        return TracePosition(self._tracer, span)

    def record(self, name: str, start: float, end: float) -> None:
        """Add a finished span below this one; times are readings of `time.perf_counter`."""
        offset_ns = time.time_ns() - int(time.perf_counter() * 1e9)
        span = self._start(name, offset_ns + int(start * 1e9))
        span.end(offset_ns + int(end * 1e9))

    def end(self, error: BaseException | None) -> None:
        """End the span. It gets only an error's code or class: messages may quote a client."""
        if isinstance(error, ClientGone | CancelledError):
            self.span.set_attribute("error.type", "cancelled")
        elif error is not None:
            self.mark_failed(error.code if isinstance(error, ApiError) else type(error).__name__)
        self.span.end()

    def mark_failed(self, kind: str) -> None:
        """Set the span's status to failed."""
        from opentelemetry.trace import StatusCode

        self.span.set_attribute("error.type", kind)
        self.span.set_status(StatusCode.ERROR)

    def build_headers(self) -> dict[str, str]:
        """Return `traceparent`, and `tracestate` if there is one."""
        context = self._context
        headers = {"traceparent": self.traceparent}
        if context.trace_state:
            headers["tracestate"] = context.trace_state.to_header()
        return headers

    @property
    def traceparent(self) -> str:
        """The span as the W3C header `traceparent`."""
        context = self._context
        return f"00-{self.trace_id}-{context.span_id:016x}-{context.trace_flags & 1:02x}"

    @property
    def _context(self) -> "SpanContext":
        return self.span.get_span_context()

    def _start(self, name: str, start_ns: int | None, links: Sequence[Any] = ()) -> "Span":
        from opentelemetry.trace import set_span_in_context

        parent = set_span_in_context(self.span)
        return self._tracer.start_span(name, parent, start_time=start_ns, links=links)
