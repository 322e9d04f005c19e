"""Pools of real processes, some of which are killed."""

import asyncio
import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pebble import ProcessExpired

from server.errors import Unavailable
from server.workers.worker_pool import MAX_TRIES, WorkerPool
from server.workers.worker_process import WORKER_FAILURES, WORKER_LOST, WorkerProcess
from tests.server.workers.calls import crash, fail, greet, hang, start_greeter, wait_for


class CountedPool(WorkerPool):
    """A pool that counts the workers it replaced."""

    def __init__(self, count: int) -> None:
        self.replaced = 0
        super().__init__(count, start_greeter, ["Hello"], on_replace=self._count)

    def _count(self) -> None:
        self.replaced += 1


@contextmanager
def open_pool(count: int = 1) -> Iterator[CountedPool]:
    """Return a pool, and close it at the end of the block."""
    pool = CountedPool(count)
    try:
        yield pool
    finally:
        pool.close()


class Blocker:
    """Blocks a worker in a call until the test releases it."""

    def __init__(self, folder: Path) -> None:
        self.go, self.ready = folder / "go", folder / "ready"
        os.mkfifo(self.go)
        os.mkfifo(self.ready)

    def start(self, pool: WorkerPool) -> asyncio.Task[int]:
        """Start a call that blocks its worker and returns the worker's process id."""
        return asyncio.create_task(pool.run(wait_for, self.go, self.ready, timeout_s=60))

    async def worker(self) -> int:
        """Return the process id of the blocked worker, once there is one."""
        return int(await asyncio.to_thread(self.ready.read_text))

    async def release(self) -> None:
        """Let the worker return."""
        await asyncio.to_thread(self.go.write_text, "")


@pytest.fixture
def blocker(tmp_path: Path) -> Blocker:
    """Return a way to block workers."""
    return Blocker(tmp_path)


async def test_calls_share_the_workers() -> None:
    with open_pool(2) as pool:
        results = await asyncio.gather(*(pool.run(greet, str(i), timeout_s=60) for i in range(20)))
        assert [text for text, _ in results] == [f"Hello {i}" for i in range(20)]
        assert len({pid for _, pid in results}) <= 2
        assert pool.replaced == 0


async def test_only_started_workers_are_alive() -> None:
    with open_pool(2) as pool:
        assert pool.count_alive() == 0
        await pool.run(greet, "Ada", timeout_s=60)
        assert pool.count_alive() == 1
    assert pool.count_alive() == 0


async def test_errors_of_the_function_replace_no_worker() -> None:
    with open_pool() as pool:
        with pytest.raises(ValueError, match="no good"):
            await pool.run(fail, "no good", timeout_s=60)
        assert pool.replaced == 0


async def test_a_worker_that_hangs_is_replaced() -> None:
    with open_pool() as pool:
        _, pid = await pool.run(greet, "Ada", timeout_s=60)
        with pytest.raises(TimeoutError):
            await pool.run(hang, timeout_s=0.2)
        assert pool.replaced == 1
        assert (await pool.run(greet, "Grace", timeout_s=60))[1] != pid


async def test_a_worker_that_crashes_is_replaced() -> None:
    with open_pool() as pool:
        with pytest.raises(WORKER_FAILURES):
            await pool.run(crash, signal.SIGSEGV, timeout_s=60)
        # More than one where a worker died before the pool knew that the call had begun.
        assert 1 <= pool.replaced <= MAX_TRIES
        assert (await pool.run(greet, "Ada", timeout_s=60))[0] == "Hello Ada"


async def test_a_call_is_repeated_when_its_worker_is_killed(blocker: Blocker) -> None:
    with open_pool() as pool:
        call = blocker.start(pool)
        first = await blocker.worker()
        os.kill(first, signal.SIGKILL)
        second = await blocker.worker()
        await blocker.release()
        assert await call == second != first
        assert pool.replaced == 1


async def test_a_call_is_not_repeated_without_end() -> None:
    with open_pool() as pool:
        with pytest.raises((ProcessExpired, *WORKER_LOST)):
            await pool.run(crash, signal.SIGKILL, timeout_s=60)
        assert pool.replaced == MAX_TRIES


async def test_a_cancelled_call_is_finished(blocker: Blocker) -> None:
    with open_pool() as pool:
        call = blocker.start(pool)
        worker = await blocker.worker()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        waiting = asyncio.create_task(pool.run(greet, "Ada", timeout_s=60))
        await blocker.release()
        assert await waiting == ("Hello Ada", worker)


async def test_a_cancelled_call_that_waits_never_starts(blocker: Blocker, tmp_path: Path) -> None:
    with open_pool() as pool:
        call = blocker.start(pool)
        worker = await blocker.worker()
        never = tmp_path / "never"
        waiting = asyncio.create_task(pool.run(wait_for, blocker.go, never, timeout_s=60))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await blocker.release()
        assert await call == worker
        assert (await pool.run(greet, "Ada", timeout_s=60))[1] == worker
        assert not never.exists()


def test_a_pool_that_was_never_used_closes() -> None:
    with open_pool() as pool:
        pool.start()


async def test_a_stopped_worker_loses_no_call(blocker: Blocker) -> None:
    with open_pool() as pool:
        call = blocker.start(pool)
        first = await blocker.worker()
        os.kill(first, signal.SIGSTOP)
        second = await blocker.worker()
        await blocker.release()
        assert await call == second != first


async def test_without_processes_calls_fail_until_there_are_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open_pool() as pool:
        _, pid = await pool.run(greet, "Ada", timeout_s=60)
        with monkeypatch.context() as patch:
            patch.setattr(WorkerProcess, "start", _fail_to_start)
            os.kill(pid, signal.SIGKILL)
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await pool.run(greet, "Grace", timeout_s=60)
        assert (await pool.run(greet, "Grace", timeout_s=60))[0] == "Hello Grace"


def _fail_to_start(_: WorkerProcess) -> None:
    raise OSError(errno.EMFILE, "Too many open files")
