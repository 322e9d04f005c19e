"""An engine that stalls, and a second signal. Each server is one of the test's own."""

import asyncio
import json
import os
import signal
import time

import httpx

from tests.api.pictures import body, user
from tests.api.running import RunningServer, running_server, slow_down
from tests.api.test_shutdown import start_streams, wait_for_running

OPTIONS = ("--cpu-kv-cache-gib", "1", "--enforce-eager=true")
MAX_TOKENS = 1900


async def start_requests(
    server: RunningServer, client: httpx.AsyncClient
) -> tuple[list[asyncio.Task[list[str]]], asyncio.Task[httpx.Response]]:
    """Start two streams and a request for a whole response; wait until the engine has all."""
    streams = await start_streams(server, client, 2, MAX_TOKENS)
    request = body(user("Hello"), ignore_eos=True, max_tokens=MAX_TOKENS)
    with slow_down(server.engine_pid()):
        whole = asyncio.create_task(client.post("/v1/chat/completions", json=request))
        await wait_for_running(server, 3)
    return streams, whole


async def check_answers(
    streams: list[asyncio.Task[list[str]]], whole: asyncio.Task[httpx.Response], code: str
) -> None:
    """Check that each request ends with an error of this code."""
    for events in await asyncio.gather(*streams):
        assert json.loads(events[-1])["error"]["code"] == code
    response = await whole
    assert response.status_code == 503
    assert response.json()["error"]["code"] == code


async def watch_ready(server: RunningServer) -> list[tuple[int, str]]:
    """Read /ready until nothing listens any more; returns its distinct answers in order."""
    answers: list[tuple[int, str]] = []
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        while True:
            try:
                response = await client.get("/ready")
            except httpx.TransportError:
                return answers
            answer = (response.status_code, response.json()["status"])
            if answer not in answers:
                answers.append(answer)
            await asyncio.sleep(0.01)


async def begin_upload(server: RunningServer) -> asyncio.Task[bytes]:
    """Send half a request; returns what the server sends until it closes."""
    url = httpx.URL(server.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
        b'content-length: 1000\r\n\r\n{"model": '
    )
    await writer.drain()

    async def read() -> bytes:
        try:
            return await reader.read()
        finally:
            writer.close()

    return asyncio.create_task(read())


def check_log(server: RunningServer) -> None:
    assert not any("Traceback" in line or '"error"' in line for line in server.log)


async def test_a_stalled_engine_ends_the_server() -> None:
    with running_server(*OPTIONS, "--engine-stall-timeout-s", "5") as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            streams, whole = await start_requests(server, client)
            ready = asyncio.create_task(watch_ready(server))
            os.kill(server.engine_pid(), signal.SIGSTOP)
            stopped = time.monotonic()
            await check_answers(streams, whole, "engine_unavailable")
            assert 4 < time.monotonic() - stopped < 25
            # The server listens for a moment only after its failure.
            assert set(await ready) <= {(200, "ready"), (503, "failed")}
        assert await asyncio.to_thread(server.wait_for_exit) == 1
        assert time.monotonic() - stopped < 50  # a quiet machine takes about seven seconds
        print(f"exit {time.monotonic() - stopped:.1f} s after the stop, /ready {ready.result()}")
        assert any("the engine has made no step for 5 seconds" in line for line in server.log)


async def test_a_second_signal_ends_the_server_at_once() -> None:
    """The engine is stopped, too, so that neither drain nor engine can end by themselves."""
    with running_server(*OPTIONS) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            streams, whole = await start_requests(server, client)
            upload = await begin_upload(server)
            ready = asyncio.create_task(watch_ready(server))
            os.kill(server.engine_pid(), signal.SIGSTOP)
            server.process.send_signal(signal.SIGTERM)
            while (  # noqa: ASYNC110 - the server offers no event for it
                await client.get("/ready")
            ).status_code == 200:
                await asyncio.sleep(0.01)
            assert not whole.done()
            server.process.send_signal(signal.SIGTERM)
            signalled = time.monotonic()
            await check_answers(streams, whole, "not_ready")
            answered = time.monotonic() - signalled
            assert answered < 5
            head, _, content = (await upload).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert json.loads(content)["error"]["code"] == "not_ready"
            assert (await ready)[-1] == (503, "draining")
        assert await asyncio.to_thread(server.wait_for_exit) == 0
        exited = time.monotonic() - signalled
        print(f"answered after {answered:.2f} s, exit after {exited:.2f} s")
        assert exited < 20  # a quiet machine takes about one second
        check_log(server)
