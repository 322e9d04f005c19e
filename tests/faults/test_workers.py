"""Worker processes that are killed, stopped or short of memory."""

import asyncio
import os
import resource
import signal
import time

import httpx
import psutil
import pytest

from tests.api.running import RunningServer, metric
from tests.faults.probing import (
    CHAT,
    REQUESTS,
    Holdings,
    build_image_request,
    check_text,
    draw_large_image,
    find_workers,
    read_error,
)

MIB = 2**20
# To see that a worker is stopped, and to start another one, on a busy machine.
REPLACE_LIMIT_S = 20


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
@pytest.mark.parametrize("kind", REQUESTS)
def test_idle_workers_are_replaced(
    faulty: RunningServer, http: httpx.Client, kind: str, fault: signal.Signals
) -> None:
    http.post(CHAT, json=REQUESTS[kind]()).raise_for_status()
    held = Holdings.read(faulty)
    for pid in find_workers(faulty, kind):
        os.kill(pid, fault)
    began = time.monotonic()
    response = http.post(CHAT, json=REQUESTS[kind]())
    assert response.status_code == 200, response.text
    assert time.monotonic() - began < REPLACE_LIMIT_S
    check_text(http)
    held.wait_until_back(faulty)


def test_a_hangup_ends_no_worker(faulty: RunningServer, http: httpx.Client) -> None:
    workers = {kind: find_workers(faulty, kind) for kind in REQUESTS}
    for pid in set().union(*workers.values()):
        os.kill(pid, signal.SIGHUP)
    for kind, build in REQUESTS.items():
        http.post(CHAT, json=build()).raise_for_status()
        assert workers[kind] <= find_workers(faulty, kind)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
async def test_images_in_work_are_decoded_by_other_workers(
    faulty: RunningServer, fault: signal.Signals
) -> None:
    """The clients see nothing of it, nor do those who ask for text meanwhile."""
    replaced = metric(faulty.url, "llava:decode_workers_replaced_total")
    workers = find_workers(faulty, "decode")
    body = build_image_request(draw_large_image())
    async with httpx.AsyncClient(base_url=faulty.url, timeout=60) as client:
        large = asyncio.create_task(client.post(CHAT, json=body))
        await asyncio.to_thread(_wait_for_busy, workers)
        for pid in workers:
            os.kill(pid, fault)
        small = [client.post(CHAT, json=build_image_request()) for _ in range(6)]
        for response in await asyncio.gather(large, *small):
            assert response.status_code == 200, response.text
    assert metric(faulty.url, "llava:decode_workers_replaced_total") >= replaced + 1
    assert any('"worker process replaced"' in line for line in faulty.log)


def test_a_worker_without_memory_refuses_its_image_only(
    faulty: RunningServer, http: httpx.Client
) -> None:
    workers = find_workers(faulty, "decode")
    for pid in workers:
        limit = psutil.Process(pid).memory_info().vms + 32 * MIB
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
    refused = http.post(CHAT, json=build_image_request(draw_large_image()))
    assert read_error(refused) == (400, "image_too_large")
    assert "memory" in refused.json()["error"]["message"]
    http.post(CHAT, json=build_image_request()).raise_for_status()
    assert find_workers(faulty, "decode") == workers
    for pid in workers:  # the limit cannot be raised again
        os.kill(pid, signal.SIGKILL)


def _wait_for_busy(pids: set[int]) -> None:
    """Block until one of the processes runs."""
    processes = [psutil.Process(pid) for pid in pids]
    before = [process.cpu_times().user for process in processes]
    deadline = time.monotonic() + 20
    while all(
        process.cpu_times().user < spent + 0.1
        for process, spent in zip(processes, before, strict=True)
    ):
        assert time.monotonic() < deadline, "no worker decodes"
        time.sleep(0.02)
