"""One real process: calls, time limits and ends."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import pytest
from pebble import ProcessExpired
from pebble.pool.process import TaskManager

from server.workers import worker_process
from server.workers.worker_process import WORKER_FAILURES, WorkerLost, WorkerProcess
from tests.server.workers.calls import crash, fail, greet, hang, pause, start_greeter


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    """Return a worker that has not been started."""
    worker = WorkerProcess(start_greeter, ["Hello"])
    yield worker
    worker.end()


async def test_calls_run_in_one_initialized_process(worker: WorkerProcess) -> None:
    first, pid = await worker.call(greet, "Ada", timeout_s=60)
    second = await worker.call(greet, "Grace", timeout_s=60)
    assert first == "Hello Ada"
    assert second == ("Hello Grace", pid)
    assert pid != os.getpid()


async def test_it_is_alive_from_its_start_to_its_end(worker: WorkerProcess) -> None:
    assert not worker.is_alive
    worker.start()
    worker.start()
    await worker.call(greet, "Ada", timeout_s=60)
    assert worker.is_alive
    await asyncio.to_thread(worker.end)
    assert not worker.is_alive


def test_one_that_never_started_ends(worker: WorkerProcess) -> None:
    worker.end()
    assert not worker.is_alive


async def test_errors_of_the_function_are_raised(worker: WorkerProcess) -> None:
    with pytest.raises(ValueError, match="no good"):
        await worker.call(fail, "no good", timeout_s=60)
    assert (await worker.call(greet, "Ada", timeout_s=60))[0] == "Hello Ada"


async def test_a_call_that_hangs_times_out(worker: WorkerProcess) -> None:
    _, pid = await worker.call(greet, "Ada", timeout_s=60)
    with pytest.raises(TimeoutError):
        await worker.call(hang, timeout_s=0.2)
    await asyncio.to_thread(worker.end)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_stopped_process_is_lost(
    worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "LOOK_INTERVAL_S", 0.2)
    _, pid = await worker.call(greet, "Ada", timeout_s=60)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(WorkerLost):
        await worker.call(greet, "Grace", timeout_s=60)
    await asyncio.to_thread(worker.end)
    assert not worker.is_alive


async def test_a_call_that_pebble_forgets_is_lost(
    worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does that reaches pebble's pool while it breaks."""
    monkeypatch.setattr(TaskManager, "tasks_abort", lambda *_: None)
    _, pid = await worker.call(greet, "Ada", timeout_s=60)
    os.kill(pid, signal.SIGSTOP)
    call = asyncio.create_task(worker.call(greet, "Grace", timeout_s=60))
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerLost, match="ended"):
        await call


async def test_the_wall_clock_does_not_matter(
    worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    await worker.call(greet, "Ada", timeout_s=60)
    call = asyncio.create_task(worker.call(pause, 0.5, timeout_s=60))
    await asyncio.sleep(0.1)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 5 * 3600)
    await call


async def test_a_stopped_process_ends(worker: WorkerProcess) -> None:
    _, pid = await worker.call(greet, "Ada", timeout_s=60)
    os.kill(pid, signal.SIGSTOP)
    await asyncio.wait_for(asyncio.to_thread(worker.end), 2)  # pebble alone takes three seconds
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_call_that_kills_its_process(worker: WorkerProcess) -> None:
    await worker.call(greet, "Ada", timeout_s=60)
    with pytest.raises(WORKER_FAILURES) as caught:
        await worker.call(crash, signal.SIGSEGV, timeout_s=60)
    if isinstance(caught.value, ProcessExpired):  # else it died before pebble saw the call begin
        assert caught.value.exitcode == -signal.SIGSEGV
