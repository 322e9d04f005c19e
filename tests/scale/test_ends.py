"""A replica drains for its time and no longer, and nothing is left behind."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.api.pictures import body, user
from tests.api.running import RunningServer, metric
from tests.scale.replicas import LINE_LIMIT_S, NO_MEMORY_MONITOR, OPTIONS, is_running

# One after the other with those of the shared replicas: all load on the same cores.
pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("replicas")]

# Together they take longer than HAProxy's five seconds and the drain.
REQUEST = {
    **body(user("Hello"), max_tokens=1900),
    **{"ignore_eos": True, "stream": True, "n": 8},
}
STREAMS = 5
RUNNING = "llava:num_requests_running"


async def test_a_stream_that_outlasts_the_drain_ends_with_an_error(tmp_path: Path) -> None:
    server = RunningServer(
        *("--drain-timeout-s", "1", "--metrics-targets", str(tmp_path)),
        *OPTIONS,
        env=NO_MEMORY_MONITOR,
        command="scale",
    )
    try:
        await asyncio.to_thread(server.wait_until_ready)
        children = server.children()
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
            streams = [asyncio.create_task(_read_last_event(http)) for _ in range(STREAMS)]
            await asyncio.to_thread(_wait_until_running, tmp_path)
            server.process.send_signal(signal.SIGTERM)
            last = await asyncio.gather(*streams)
    except BaseException:
        await asyncio.to_thread(server.stop)
        raise
    code = await asyncio.to_thread(server.wait_for_exit)
    assert [each[-300:] for each in last if "not_ready" not in each] == []
    assert code == 0
    assert not [name for pid, name in children.items() if is_running(pid)]
    assert not os.listdir(tmp_path)


def _wait_until_running(targets: Path) -> None:
    (target,) = targets.glob("*.json")
    address = json.loads(target.read_text())[0]["targets"][0]
    deadline = time.monotonic() + LINE_LIMIT_S
    while metric(f"http://{address}", RUNNING) < STREAMS:
        assert time.monotonic() < deadline, "the requests do not run"


async def _read_last_event(http: httpx.AsyncClient) -> str:
    async with http.stream("POST", "/v1/chat/completions", json=REQUEST) as response:
        return [line async for line in response.aiter_lines() if line][-1]
