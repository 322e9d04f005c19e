"""Models, health, readiness, metrics, docs, logs."""

import json
import os
import re
import subprocess
import time

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api.pictures import body, green_triangle, image_part, text_part, user
from tests.api.running import RunningServer, metric


def test_lists_the_model(client: openai.OpenAI) -> None:
    [model] = client.models.list().data
    assert (model.id, model.object) == ("llava-tiny", "model")


def test_alive_and_ready(http: httpx.Client) -> None:
    assert http.get("/health").json() == {"status": "alive"}
    assert http.get("/ready").json() == {"status": "ready"}


def test_metrics_are_ours_and_the_engines(server: RunningServer, http: httpx.Client) -> None:
    tokens = metric(server.url, "llava:prompt_tokens_total")
    done = metric(server.url, 'llava:requests_total{outcome="ok"}')
    request = body(user(image_part(green_triangle(211)), text_part("What is this?")), stream=True)
    http.post("/v1/chat/completions", json=request)
    assert metric(server.url, "llava:prompt_tokens_total") > tokens + 64
    assert metric(server.url, 'llava:requests_total{outcome="ok"}') == done + 1
    families = list(text_string_to_metric_families(http.get("/metrics").text))
    samples = {sample.name: sample.value for family in families for sample in family.samples}
    names = {family.name for family in families}
    assert {"llava:requests", "vllm:num_requests_running"} <= names
    # What the endpoint picker of deploy/k8s asks for.
    assert {"vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"} <= names
    for histogram in ("time_to_first_token", "inter_token_latency", "e2e_request_latency"):
        assert metric(server.url, f"llava:{histogram}_seconds_count") >= 1
    for stage in ("load", "decode", "preprocess", "encode", "prompt", "first_token"):
        assert metric(server.url, f'llava:stage_seconds_count{{stage="{stage}"}}') >= 1
    assert samples["llava:vision_batch_size_count"] >= 1
    assert samples["llava:image_cache_bytes"] > 0


def test_an_image_seen_before_is_not_decoded_again(
    server: RunningServer, http: httpx.Client
) -> None:
    request = body(user(image_part(green_triangle(222)), text_part("What is this?")))
    answers = [http.post("/v1/chat/completions", json=request).json() for _ in range(1)]
    decoded = metric(server.url, 'llava:stage_seconds_count{stage="decode"}')
    hits = metric(server.url, "llava:image_cache_hits_total")
    answers.append(http.post("/v1/chat/completions", json=request).json())
    assert metric(server.url, 'llava:stage_seconds_count{stage="decode"}') == decoded
    assert metric(server.url, "llava:image_cache_hits_total") == hits + 1
    assert answers[0]["choices"] == answers[1]["choices"]


def test_the_api_describes_itself(http: httpx.Client) -> None:
    assert http.get("/docs").status_code == 200
    schema = http.get("/openapi.json").json()
    operation = schema["paths"]["/v1/chat/completions"]["post"]
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schemas = schema["components"]["schemas"]
    properties = schemas[reference.rsplit("/", 1)[1]]["properties"]
    assert {"model", "messages", "stream", "seed"} <= set(properties)
    references = re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(schema))
    assert set(references) <= set(schemas)
    assert operation["responses"]["400"]["content"]
    assert {"/v1/models", "/health", "/ready", "/metrics"} <= set(schema["paths"])


def test_one_log_line_a_request_without_its_content(
    server: RunningServer, http: httpx.Client
) -> None:
    request = body(user(image_part(green_triangle(233)), text_part("What xylophone is this?")))
    response = http.post("/v1/chat/completions", json=request, headers={"x-request-id": "my-id.1"})
    assert response.headers["x-request-id"] == "my-id.1"
    completion_id = response.json()["id"]
    assert re.fullmatch("chatcmpl-[0-9a-f]{32}", completion_id)
    deadline = time.monotonic() + 20
    while not (lines := [json.loads(each) for each in server.log if completion_id in each]):
        assert time.monotonic() < deadline, "no line was written"
        time.sleep(0.02)
    (line,) = lines
    assert line["request_id"] == "my-id.1"
    assert (line["endpoint"], line["status"]) == ("/v1/chat/completions", 200)
    assert line["client"] == "127.0.0.1"
    assert line["event"] == "request"
    assert line["outcome"] == "ok"
    assert line["images"] == 1
    assert line["prompt_tokens"] > 64
    assert line["first_token_s"] <= line["elapsed_s"]
    others = [line for line in server.log if '"event": "ready"' not in line]  # it has an example
    assert not [line for line in others if "xylophone" in line or "base64" in line]


def test_the_curl_line_of_the_log_works(server: RunningServer) -> None:
    answer = subprocess.run(
        ["bash", "-c", server.example], capture_output=True, check=True, text=True
    )
    content = json.loads(answer.stdout)["choices"][0]["message"]["content"]
    assert content.startswith("A ")


def test_every_line_is_one_json_object(server: RunningServer) -> None:
    assert server.output == []
    assert all(isinstance(json.loads(line), dict) for line in server.log)


def test_the_start_writes_no_raw_lines(server: RunningServer) -> None:
    """Later ones are those of native libraries about what clients send, wrapped as JSON."""
    lines = list(server.log)
    start = lines[: next(number for number, line in enumerate(lines) if '"event": "ready"' in line)]
    assert not [line for line in start if '"stream": "stderr"' in line]


def test_only_threads_that_compute_are_bound_to_a_core(server: RunningServer) -> None:
    """The others, which send tokens, would wait for that core and for Python's lock."""
    pid, cores = server.engine_pid(), os.sched_getaffinity(0)
    bound = os.sched_getaffinity(pid)
    if bound == cores:
        pytest.skip("the engine is bound to no core of its own here")
    threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    assert [each for each in threads if os.sched_getaffinity(each) == bound] == [pid]
