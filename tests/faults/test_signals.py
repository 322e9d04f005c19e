"""Signals in each phase of a server's life, each to a server of its own.

See `tests/api/test_shutdown.py` and `test_watchdog.py` for a server that is ready.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import httpx
import pytest

from tests.api.running import RunningServer, running_server, starting_server
from tests.api.test_shutdown import read_stream, start_streams
from tests.faults.phases import has_handler, is_loading, is_starting_the_engine, wait_until
from tests.faults.probing import CHAT, build_image_request

OPTIONS = ("--cpu-kv-cache-gib", "1", "--enforce-eager", "true")
ALL = os.environ.get("FAULTS") == "all"
# What a loaded machine may take; a quiet one takes about a second.
EXIT_LIMIT_S = 20

only_in_all = pytest.mark.skipif(not ALL, reason="takes long: make faults")


def check_exit(server: RunningServer) -> None:
    """Check that the server ends soon, in order, and with its children."""
    children, began = set(server.children()), time.monotonic()
    assert server.wait_for_exit() == 0
    assert time.monotonic() - began < EXIT_LIMIT_S
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), 10)
    assert not [line for line in server.log if "Traceback" in line]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "phase",
    [
        has_handler,
        is_loading,
        is_starting_the_engine,
    ],
)
def test_a_start_can_be_ended(phase: Callable[[RunningServer], bool], sent: signal.Signals) -> None:
    if sent is signal.SIGINT and phase is not has_handler and not ALL:
        pytest.skip("takes long: make faults")
    with starting_server(*OPTIONS) as server:
        wait_until(lambda: phase(server))
        server.process.send_signal(sent)
        check_exit(server)


@pytest.mark.parametrize(
    "sent",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=only_in_all),
        pytest.param(signal.SIGHUP, marks=only_in_all),
    ],
)
async def test_a_signal_to_all_processes_lets_requests_finish(sent: signal.Signals) -> None:
    """systemd sends SIGTERM to all processes of a service, a terminal SIGINT and SIGHUP."""
    with running_server(*OPTIONS) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            streams = await start_streams(server, client, 2, max_tokens=900)
            bodies = [build_image_request() for _ in range(8)]
            images = [asyncio.create_task(client.post(CHAT, json=body)) for body in bodies]
            await asyncio.sleep(0.05)
            os.killpg(server.process.pid, sent)
            for events in await asyncio.gather(*streams):
                assert events[-1] == "[DONE]"
            for response in await asyncio.gather(*images):
                assert response.status_code in (200, 503), response.text
        await asyncio.to_thread(check_exit, server)


@only_in_all
async def test_the_engine_ended_by_a_signal_ends_the_server() -> None:
    with running_server(*OPTIONS) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            stream = asyncio.create_task(read_stream(client, 900))
            await asyncio.sleep(1)
            os.kill(server.engine_pid(), signal.SIGTERM)
            await stream
        assert await asyncio.to_thread(server.wait_for_exit) == 1


def test_a_closed_output_ends_no_start() -> None:
    """Wrong options, with standard output and error closed: no traceback, no other exit code."""
    command = "exec python -m server --port 70000 >&- 2>&-"
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    run = subprocess.run(["sh", "-c", command], env={**os.environ, "PATH": path})
    assert run.returncode == 2
