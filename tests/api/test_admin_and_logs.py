"""The admin port, JSON logs of every process to its last words, and a model that does not load."""

import json
import os
import re
import signal
import time

import httpx

from tests.api.pictures import body, user
from tests.api.running import RunningServer, running_server

OPTIONS = ("--cpu-kv-cache-gib", "1", "--enforce-eager=true", "--admin-port", "0")


def find_admin_url(server: RunningServer) -> str:
    """Return the admin port's URL, which the log has while the model loads."""
    deadline = time.monotonic() + 60
    while not (lines := server.logged("admin port open")):
        assert time.monotonic() < deadline
        assert server.process.poll() is None
        time.sleep(0.02)
    return str(lines[0]["url"])


def read_events(server: RunningServer) -> list[str]:
    """Return the events of all lines, each of which must be one JSON object."""
    assert server.output == []
    return [json.loads(line)["event"] for line in server.log]


def test_admin_port_and_the_last_words_of_the_engine() -> None:
    with running_server(*OPTIONS) as server:
        with (
            httpx.Client(base_url=find_admin_url(server), timeout=10) as admin,
            httpx.Client(base_url=server.url, timeout=60) as public,
        ):
            assert admin.get("/startup").json() == {"status": "ready"}
            public.post("/v1/chat/completions", json=body(user("Hello"))).raise_for_status()
            metrics = admin.get("/metrics").text
            assert re.search(r'^llava:requests_total\{.*outcome="ok".*\} 1\.0$', metrics, re.M)
            assert "vllm:num_requests_running" in metrics
            assert public.get("/metrics").status_code == 404
            assert public.get("/health").status_code == 200
        os.kill(server.engine_pid(), signal.SIGABRT)
        assert server.wait_for_exit() == 1
    events = read_events(server)
    # Afterwards multiprocessing's tracker may find what the killed process has left.
    before = events[: events.index("server failed")]
    assert not [event for event in before if re.search("warning|it/s|Triton", event, re.I)]
    assert "ready" in events
    assert "server failed" in events


def test_a_model_that_does_not_load_says_why_in_one_line() -> None:
    small = ("--max-model-len", "2048", "--engine-args", '{"num_gpu_blocks_override": 4}')
    server = RunningServer(*OPTIONS, *small)
    try:
        ready = httpx.Client(base_url=find_admin_url(server), timeout=10)
        reasons: list[str] = []
        while server.process.poll() is None:
            try:
                answer = ready.get("/ready")
            except httpx.TransportError:
                break
            assert answer.status_code == 503
            reasons += [answer.json()["reason"]] if "reason" in answer.json() else []
            time.sleep(0.2)
        assert server.wait_for_exit() == 1
    finally:
        server.process.kill()
        server.wait_for_exit()
    [failure] = server.logged("server failed")
    assert re.fullmatch(
        r"the KV cache of \S+ GiB is too small for a context of 2048 tokens, which takes \S+ GiB:"
        r" lower --max-model-len, or raise --gpu-memory-utilization"
        r" \(on a CPU --cpu-kv-cache-gib\)",
        failure["reason"],
    )
    assert set(reasons) == {failure["reason"]}
    assert read_events(server)[-1] == "server failed"
    assert not any("Traceback" in line for line in server.log)
