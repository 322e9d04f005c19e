"""What a real server reports about itself: traces at a collector, `Server-Timing`, metrics."""

import json
import re
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.telemetry.metrics import Metrics
from tests.api.pictures import body, green_triangle, image_part, text_part, user
from tests.api.running import RunningServer, metric, running_server, wait_for_metric
from tests.otlp import CollectedSpan, Collector, running_collector
from tests.promql import list_expressions, read_labels, read_metrics, run_promtool

ORIGIN = "https://app.example.com"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
CHAT = "/v1/chat/completions"
IMAGE_STAGES = {"load", "decode", "preprocess", "encode"}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
# Spans go to the collector every five seconds, and once more where a queue is busy.
EXPORT_LIMIT_S = 20


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(collector: Collector) -> Iterator[RunningServer]:
    """Serve with all that can be told."""
    options = ("--otlp-endpoint", collector.url, "--server-timing", "--cors-allow-origins", ORIGIN)
    with running_server(*options) as running:
        yield running


def ask(server: RunningServer, path: str, request: object, **headers: str) -> httpx.Response:
    return httpx.post(server.url + path, json=request, headers=headers, timeout=60)


def picture(seed: int) -> dict[str, object]:
    return body(user(image_part(green_triangle(seed)), text_part("What is this?")), max_tokens=4)


def by_id(spans: list[CollectedSpan]) -> dict[str, CollectedSpan]:
    return {span.span_id: span for span in spans}


def parents(spans: list[CollectedSpan]) -> dict[str, str]:
    """Return each span's name with its parent's."""
    found = by_id(spans)
    return {span.name: found[span.parent_id].name for span in spans if span.parent_id in found}


@pytest.mark.parametrize("stream", [False, True])
def test_a_question_about_an_image_is_one_trace(
    traced: RunningServer, collector: Collector, stream: bool
) -> None:
    trace_id = f"{TRACE[:-1]}{int(stream)}"
    traceparent = f"00-{trace_id}-{PARENT}-01"
    request = picture(500 + stream) | {"stream": stream}
    response = ask(traced, CHAT, request, traceparent=traceparent, tracestate="vendor=1")
    assert response.status_code == 200
    spans = collector.wait_for_trace(trace_id, f"POST {CHAT}", EXPORT_LIMIT_S)
    named = {span.name: span for span in spans}
    root = named[f"POST {CHAT}"]
    assert root.parent_id == PARENT
    assert parents(spans) == {
        **dict.fromkeys(("body", "queue", "image", "prompt", "first_token"), root.name),
        **dict.fromkeys(("generation", "llm_request"), root.name),
        **dict.fromkeys(IMAGE_STAGES, "image"),
        "vision_batch": "encode",
    }
    assert (
        root.attributes.items()
        >= {
            "http.request.method": "POST",
            "http.route": CHAT,
            "http.response.status_code": 200,
            "gen_ai.request.model": "llava-tiny",
            "gen_ai.usage.output_tokens": 4,
            "llava.images": 1,
            "llava.outcome": "ok",
        }.items()
    )
    assert root.attributes["gen_ai.usage.input_tokens"] > root.attributes["llava.image_tokens"] > 0
    assert named["image"].attributes["llava.image.cache"] == "miss"
    assert named["vision_batch"].attributes["llava.images"] == 1
    assert named["llm_request"].attributes["gen_ai.usage.completion_tokens"] == 4
    for span in spans:
        assert root.start - 0.01 <= span.start <= span.end <= root.end + 0.01, span
    [line] = [json.loads(line) for line in traced.log if trace_id in line]
    assert (line["event"], line["trace_id"]) == ("request", trace_id)


def test_a_refused_request_s_trace_has_the_error_s_code(
    traced: RunningServer, collector: Collector
) -> None:
    trace_id = f"{TRACE[:-1]}a"
    request = body(user("Hi")) | {"model": "other"}
    ask(traced, CHAT, request, traceparent=f"00-{trace_id}-{PARENT}-01")
    spans = collector.wait_for_trace(trace_id, f"POST {CHAT}", EXPORT_LIMIT_S)
    root = next(span for span in spans if span.name == f"POST {CHAT}")
    assert root.attributes["error.type"] == "model_not_found"
    assert root.attributes["http.response.status_code"] == 404
    assert not root.is_failed


def test_a_trace_that_the_client_does_not_sample_has_no_spans(
    traced: RunningServer, collector: Collector
) -> None:
    trace_id = f"{TRACE[:-1]}b"
    ask(traced, CHAT, body(user("Hi")), traceparent=f"00-{trace_id}-{PARENT}-00")
    sampled = f"{TRACE[:-1]}c"
    ask(traced, "/tokenize", {"prompt": "Hi"}, traceparent=f"00-{sampled}-{PARENT}-01")
    spans = collector.wait_for_trace(sampled, "POST /tokenize", EXPORT_LIMIT_S)
    assert {"body", "queue", "prompt"} <= {span.name for span in spans}
    assert trace_id not in {span.trace_id for span in collector.spans}
    assert any(trace_id in line for line in traced.log)


@pytest.mark.usefixtures("traced")
def test_the_start_is_a_trace_of_its_own(collector: Collector) -> None:
    trace_id = next(span.trace_id for span in collector.spans if span.name == "start")
    names = {span.name for span in collector.spans if span.trace_id == trace_id}
    assert {"start", "encode", "llm_request"} <= names
    roots = [span for span in collector.spans if not span.parent_id]
    assert {span.name for span in roots} == {"start"}


@pytest.mark.parametrize("stream", [False, True])
def test_server_timing_has_each_stage(traced: RunningServer, stream: bool) -> None:
    response = ask(traced, CHAT, picture(510 + stream) | {"stream": stream}, origin=ORIGIN)
    header = response.headers["server-timing"]
    stages = {name: float(ms) for name, ms in re.findall(r"(\w+);dur=([\d.]+)", header)}
    assert {"body", "queue", "prompt", "first_token", "total", *IMAGE_STAGES} <= set(stages)
    assert ("generation" in stages) is not stream
    assert max(stages.values()) == stages["total"]
    assert 0 < stages["total"] <= response.elapsed.total_seconds() * 1000
    assert response.headers["timing-allow-origin"] == ORIGIN
    assert "server-timing" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("path", "request_body", "status"),
    [
        ("/v1/completions", {"model": "llava-tiny", "prompt": "A", "max_tokens": 1}, 200),
        ("/v1/responses", {"model": "llava-tiny", "input": "Hi", "max_output_tokens": 16}, 200),
        (
            "/v1/messages",
            {
                "model": "llava-tiny",
                "max_tokens": 1,
                "messages": [{"role": "user", "content": "A"}],
            },
            200,
        ),
        ("/tokenize", {"model": "llava-tiny", "prompt": "A"}, 200),
        (
            "/v1/messages/count_tokens",
            {"model": "llava-tiny", "messages": [{"role": "user", "content": "A"}]},
            200,
        ),
        ("/detokenize", {"tokens": [-1]}, 400),
        ("/v1/chat/completions", {}, 400),
    ],
)
def test_requests_are_labelled_by_endpoint_and_model(
    traced: RunningServer, path: str, request_body: dict[str, object], status: int
) -> None:
    model = "llava-tiny" if status == 200 else "other"
    sample = f'llava:requests_total{{endpoint="{path}",model="{model}"}}'
    before = metric(traced.url, sample)
    response = ask(traced, path, request_body)
    assert response.status_code == status
    assert "server-timing" in response.headers
    wait_for_metric(traced.url, sample, before + 1, 5)


def test_dashboard_and_alerts_name_only_what_there_is(traced: RunningServer) -> None:
    broken = body(user({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}))
    assert ask(traced, CHAT, broken).status_code == 400
    declared, labels = read_exposition(httpx.get(f"{traced.url}/metrics").text)
    expressions = [each for each in list_expressions() if has_server(each)]
    assert len(expressions) > 50
    for expression in expressions:
        assert read_metrics(expression) - declared == set(), expression
        for name, needed in read_labels(expression).items():
            # What has never happened yet has no samples, and so shows no labels.
            assert needed <= labels.get(name, needed), f"{name} in {expression}"


def has_server(expression: str) -> bool:
    """Whether the metrics of an expression are this server's: `up` is Prometheus' own."""
    is_keys = re.search("llava:(key|usage)", expression) is not None
    return "up{" not in expression and not (is_keys and not hasattr(Metrics(), "keys"))


def read_exposition(text: str) -> tuple[set[str], dict[str, set[str]]]:
    """Return the names of all samples that there can be, and the labels of those that there are."""
    declared: set[str] = set()
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        declared |= {family.name + suffix for suffix in SUFFIXES.get(family.type, ("",))}
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return declared, labels


def test_all_metrics_are_clean_but_for_the_colons(traced: RunningServer) -> None:
    text = httpx.get(f"{traced.url}/metrics").text
    faults = run_promtool("check", "metrics", text=text).stderr.splitlines()
    ours = [line for line in faults if not line.startswith("vllm:")]
    assert [line for line in ours if "should not contain ':'" not in line] == []


def test_what_runs_here_is_told(traced: RunningServer) -> None:
    assert metric(traced.url, 'llava:build_info{model="llava-tiny",device="cpu"}') == 1
    assert metric(traced.url, "llava:ready") == 1
    assert metric(traced.url, "llava:draining") == 0
    assert metric(traced.url, "llava:num_decodes_waiting") == 0
    assert metric(traced.url, "process_resident_memory_bytes") > 1e8
