"""Stages: one block is timed for the histogram, the timeline and the trace."""

import asyncio
import time

import pytest
import torch
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from server.errors import ImageCorrupt
from server.images.vision.cache import EncodedMedia, ImageEmbedsCache
from server.telemetry.metrics import Metrics
from server.telemetry.stages import Span, TimedStage, batch_span
from server.telemetry.timeline import (
    RequestContext,
    Timeline,
    annotate,
    build_trace_headers,
    enter_request_context,
    get_trace_id,
    leave_request_context,
)
from server.telemetry.tracing import Tracing
from tests.server.samples import stage_count

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Trace:
    """A request's context, and the spans that were recorded in it."""

    def __init__(self, sampler: object = None, traceparent: str = "") -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)  # type: ignore[arg-type]
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        headers = {"traceparent": traceparent, "tracestate": "a=1"}
        self.position = Tracing(provider).start_request("POST /x", headers, {})
        self.timeline = Timeline()

    def __enter__(self) -> "Trace":
        self._token = enter_request_context(RequestContext(self.timeline, self.position))
        return self

    def __exit__(self, *_: object) -> None:
        leave_request_context(self._token)
        self.position.end(None)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self._exporter.get_finished_spans()}

    def parent_of(self, name: str) -> str | None:
        parent = self.spans[name].parent
        assert parent is not None
        names = [each for each, span in self.spans.items() if span.context == parent]
        return names[0] if names else None


def test_a_stage_feeds_histogram_timeline_and_trace(metrics: Metrics) -> None:
    with Trace() as trace, Span("image") as image:
        with metrics.stage("load"):
            annotate("llava.image.bytes", 5)
        image.annotate("llava.image.cache", "miss")
    assert stage_count(metrics, "load") == 1
    assert trace.timeline.durations()["load"] > 0
    assert trace.parent_of("load") == "image"
    assert trace.parent_of("image") == "POST /x"
    assert trace.spans["load"].attributes == {"llava.image.bytes": 5}
    assert trace.spans["image"].attributes == {"llava.image.cache": "miss"}


async def test_concurrent_stages_are_below_their_own_parents() -> None:
    async def embed(name: str) -> None:
        with Span(name):
            await asyncio.sleep(0)
            with Span(f"load {name}"):
                await asyncio.sleep(0)

    with Trace() as trace:
        await asyncio.gather(embed("a"), embed("b"))
    assert [trace.parent_of(f"load {name}") for name in "ab"] == ["a", "b"]


def test_a_stage_that_was_measured_elsewhere(metrics: Metrics) -> None:
    now = time.perf_counter()
    with Trace() as trace:
        metrics.record_stage("decode", now - 0.5, now - 0.25)
    span = trace.spans["decode"]
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == pytest.approx(0.25e9, rel=1e-3)
    assert abs(time.time_ns() - span.end_time - 0.25e9) < 5e9
    assert stage_count(metrics, "decode") == 1


def test_errors_are_named_by_their_code_and_never_quoted(metrics: Metrics) -> None:
    with Trace() as trace:
        with pytest.raises(ImageCorrupt), metrics.stage("load"):
            raise ImageCorrupt("secret", "messages[0]")
        with pytest.raises(LookupError), metrics.stage("prompt"):
            raise LookupError("secret")
    assert stage_count(metrics, "load") == 0
    assert dict(trace.spans["load"].attributes or {}) == {"error.type": "image_corrupt"}
    assert dict(trace.spans["prompt"].attributes or {}) == {"error.type": "LookupError"}
    assert not trace.spans["load"].status.is_ok
    assert "secret" not in "".join(span.to_json() for span in trace.spans.values())


async def test_whoever_is_cancelled_has_not_failed(metrics: Metrics) -> None:
    with Trace() as trace, pytest.raises(asyncio.CancelledError), metrics.stage("encode"):
        raise asyncio.CancelledError
    assert dict(trace.spans["encode"].attributes or {}) == {"error.type": "cancelled"}
    assert trace.spans["encode"].status.is_unset


async def test_images_tell_whether_they_were_cached_or_are_being_computed(
    metrics: Metrics,
) -> None:
    async def compute() -> EncodedMedia:
        await asyncio.sleep(0.01)
        return EncodedMedia(torch.zeros(1, 2), 1, 1, 1)

    async def embed(name: str) -> None:
        with Span(name):
            await cache.get_or_compute("key", compute)

    cache = ImageEmbedsCache(1000, metrics)
    with Trace() as trace:
        await asyncio.gather(embed("first"), embed("second"))
        await embed("third")
    states = {name: span.attributes for name, span in trace.spans.items() if name != "POST /x"}
    assert states == {
        "first": {"llava.image.cache": "miss"},
        "second": {"llava.image.cache": "shared"},
        "third": {"llava.image.cache": "hit"},
    }


def test_a_batch_is_below_its_first_part_and_linked_with_the_others(metrics: Metrics) -> None:
    traces, parts = [Trace(), Trace()], []
    for trace in traces:
        with trace:
            parts.append(metrics.stage("encode").__enter__())
    with batch_span("vision_batch", parts, images=2):
        pass
    for trace, part in zip(traces, parts, strict=True):
        with trace:
            part.trace.end(None)  # type: ignore[union-attr]
    batch = traces[0].spans["vision_batch"]
    other = traces[1].spans["encode"]
    assert traces[0].parent_of("vision_batch") == "encode"
    assert batch.attributes == {"llava.images": 2}
    assert [link.context for link in batch.links] == [other.context]
    assert [link.context for link in other.links] == [batch.context]


def test_the_client_s_trace_goes_on() -> None:
    with Trace(traceparent=f"00-{TRACE}-{PARENT}-01") as trace:
        assert get_trace_id() == TRACE
        with Span("prompt"):
            headers = build_trace_headers()
    root = trace.spans["POST /x"]
    assert root.parent is not None
    assert f"{root.parent.span_id:016x}" == PARENT
    assert root.context is not None
    assert f"{root.context.trace_id:032x}" == TRACE
    prompt = trace.spans["prompt"].context
    assert prompt is not None
    assert headers == {
        "traceparent": f"00-{TRACE}-{prompt.span_id:016x}-01",
        "tracestate": "a=1",
    }


@pytest.mark.parametrize("trace", [Trace(ALWAYS_OFF), Trace(traceparent=f"00-{TRACE}-{PARENT}-00")])
def test_a_trace_that_is_not_sampled_has_no_spans_but_an_id(trace: Trace, metrics: Metrics) -> None:
    with trace:
        with metrics.stage("load") as stage:
            assert stage.trace is None
        headers = build_trace_headers()
        assert headers is not None
        assert headers["traceparent"].endswith("-00")
    assert trace.spans == {}
    assert trace.timeline.durations()["load"] > 0


def test_without_anyone_who_asks_a_stage_is_only_counted(metrics: Metrics) -> None:
    with metrics.stage("load") as stage:
        assert isinstance(stage, TimedStage)
        assert (stage.context, stage.trace) == (None, None)
    assert stage_count(metrics, "load") == 1
