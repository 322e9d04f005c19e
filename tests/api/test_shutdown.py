"""How the server ends: asked to, or because its engine died. Each test has a server of its own."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import httpx

from tests.api.pictures import body, circle_and_square, image_part, text_part, user
from tests.api.running import RunningServer, running_server, slow_down, wait_for_metric


async def read_stream(client: httpx.AsyncClient, max_tokens: int) -> list[str]:
    """Read a stream to its end; returns the data of its events."""
    request = body(
        user(image_part(circle_and_square()), text_part("Describe the image.")),
        stream=True,
        ignore_eos=True,
        max_tokens=max_tokens,
    )
    async with client.stream("POST", "/v1/chat/completions", json=request) as response:
        assert response.status_code == 200
        lines = [line async for line in response.aiter_lines() if line]
    return [line.removeprefix("data: ") for line in lines]


async def start_streams(
    server: RunningServer, client: httpx.AsyncClient, count: int, max_tokens: int
) -> list[asyncio.Task[list[str]]]:
    """Start streams and wait until the engine works on all of them."""
    with slow_down(server.engine_pid()):
        streams = [asyncio.create_task(read_stream(client, max_tokens)) for _ in range(count)]
        await wait_for_running(server, count)
    return streams


async def wait_for_running(server: RunningServer, count: int) -> None:
    """Wait until the engine works on so many requests."""
    running = "vllm:num_requests_running"
    await asyncio.to_thread(wait_for_metric, server.url, running, count, 60.0)


async def test_sigterm_lets_requests_finish() -> None:
    with running_server("--cpu-kv-cache-gib", "1", "--enforce-eager=true") as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            streams = await start_streams(server, client, 6, max_tokens=900)
            server.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(_wait_until_not_ready, server)
            refused = await client.post("/v1/chat/completions", json=body(user("Hello")))
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "not_ready"
            assert "retry-after" in refused.headers
            assert (await client.get("/health")).status_code == 200
            for events in await asyncio.gather(*streams):
                assert events[-1] == "[DONE]"
        children = set(server.children())
        assert await asyncio.to_thread(server.wait_for_exit) == 0
        await asyncio.to_thread(_wait_until_gone, children)


async def test_the_engines_death_ends_the_server() -> None:
    with running_server("--cpu-kv-cache-gib", "1", "--enforce-eager=true") as server:
        children = set(server.children())
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            streams = await start_streams(server, client, 3, max_tokens=1800)
            whole = body(user("Hello"), ignore_eos=True, max_tokens=1900)
            engine = server.engine_pid()
            with slow_down(engine):
                asking = asyncio.create_task(client.post("/v1/chat/completions", json=whole))
                await wait_for_running(server, 4)
                os.kill(engine, signal.SIGKILL)
            for events in await asyncio.gather(*streams):
                assert json.loads(events[-1])["error"]["code"] == "engine_unavailable"
            response = await asking
            assert response.status_code == 503
            assert response.json()["error"]["code"] == "engine_unavailable"
        assert await asyncio.to_thread(server.wait_for_exit) == 1
        await asyncio.to_thread(_wait_until_gone, children)


async def test_a_killed_server_leaves_nothing_behind() -> None:
    with running_server("--cpu-kv-cache-gib", "1", "--enforce-eager=true") as server:
        children = set(server.children())
        server.process.kill()
        assert await asyncio.to_thread(server.wait_for_exit) == -signal.SIGKILL
        await asyncio.to_thread(_wait_until_gone, children)


def _wait_until_gone(pids: set[int]) -> None:
    """Block until processes have ended. Fails when that takes longer than ten seconds."""
    deadline = time.monotonic() + 10
    while left := {pid for pid in pids if Path(f"/proc/{pid}").exists()}:
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.05)


def _wait_until_not_ready(server: RunningServer) -> None:
    for _ in range(200):
        response = httpx.get(f"{server.url}/ready")
        if response.status_code == 503:
            assert response.json() == {"status": "draining"}
            return
    raise AssertionError("still ready after SIGTERM")
