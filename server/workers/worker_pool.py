"""A pool of worker processes: replaces dead workers and retries calls of killed ones."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from pebble import ProcessExpired

from server.errors import Unavailable
from server.telemetry.logs import get_logger
from server.workers.worker_process import (
    WORKER_FAILURES,
    WORKER_LOST,
    Arguments,
    Result,
    WorkerLost,
    WorkerProcess,
)

log = get_logger(__name__)

# Workers that one call may lose to kills from outside.
MAX_TRIES: Final = 3
# Exit codes of a worker that was killed from outside: by the kernel for lack of memory, by a
# person, or by a supervisor that signals all processes of the server at once.
KILLED: Final = (-signal.SIGKILL, -signal.SIGTERM)
NO_WORKER: Final = "The server has no worker process for this request now."
RETRY_AFTER_S: Final = 1


class WorkerPool:
    """Runs calls in `count` worker processes and replaces those that die.

    A worker gets one call at a time; other calls wait here, where cancelling costs nothing. A call
    that has begun is finished, even if its caller was cancelled.
    """

    def __init__(
        self,
        count: int,
        initializer: Callable[..., None],
        initargs: Sequence[Any] = (),
        *,
        on_replace: Callable[[], object] = lambda: None,
    ) -> None:
        """`on_replace` is called for each worker that died or hung and is replaced."""
        self._initializer = initializer
        self._initargs = initargs
        self._on_replace = on_replace
        self.num_waiting = 0  # calls without a worker
        self._slots = asyncio.Semaphore(count)
        self._workers = {WorkerProcess(initializer, initargs) for _ in range(count)}
        # The worker used last comes first: its caches are warm.
        self._free: asyncio.LifoQueue[WorkerProcess] = asyncio.LifoQueue()
        for worker in self._workers:
            self._free.put_nowait(worker)
        self._busy: set[asyncio.Task[Any]] = set()
        self._ending: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start all workers without waiting for them; otherwise each starts with its first call."""
        for worker in self._workers:
            worker.start()

    @property
    def num_running(self) -> int:
        """The number of calls that have a worker."""
        return len(self._busy)

    def count_alive(self) -> int:
        """Return the number of workers that have started and not ended."""
        return sum(worker.is_alive for worker in self._workers)

    async def run(
        self,
        function: Callable[[*Arguments], Result],
        *args: *Arguments,
        timeout_s: float,
        slots: asyncio.Semaphore | None = None,
    ) -> Result:
        """Return `function(*args)`, computed in a worker.

        `slots` bounds how many calls of a kind have a worker at once.

        A worker killed or stopped from outside says nothing about its call, so another worker gets
        the call. There are `MAX_TRIES` tries at most, because the kernel may have killed the
        worker for lack of memory. Raises what `WorkerProcess.call` raises, and `Unavailable` where
        no worker could be had.
        """
        for _ in range(MAX_TRIES - 1):
            try:
                return await self._run_once(function, *args, timeout_s=timeout_s, slots=slots)
            except WORKER_LOST:
                continue
            except ProcessExpired as expired:
                if expired.exitcode not in KILLED:
                    raise
        try:
            return await self._run_once(function, *args, timeout_s=timeout_s, slots=slots)
        except WorkerLost:
            raise Unavailable(NO_WORKER, retry_after=RETRY_AFTER_S) from None

    def close(self) -> None:
        """End the workers."""
        for task in self._busy:
            task.cancel()
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.join()

    async def _run_once(
        self,
        function: Callable[[*Arguments], Result],
        *args: *Arguments,
        timeout_s: float,
        slots: asyncio.Semaphore | None,
    ) -> Result:
        slots = slots or self._slots
        worker = await self._wait_for_worker(slots)
        call = asyncio.create_task(self._use(worker, function, *args, timeout_s=timeout_s))
        self._busy.add(call)
        call.add_done_callback(self._busy.discard)
        call.add_done_callback(lambda _: slots.release())
        # Retrieves the exception, or asyncio would log it when the caller was cancelled.
        call.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(call)

    async def _wait_for_worker(self, slots: asyncio.Semaphore) -> WorkerProcess:
        """Take one of the slots, then a worker."""
        self.num_waiting += 1
        try:
            await slots.acquire()
            try:
                return await self._free.get()
            except BaseException:
                slots.release()
                raise
        finally:
            self.num_waiting -= 1

    async def _use(
        self,
        worker: WorkerProcess,
        function: Callable[[*Arguments], Result],
        *args: *Arguments,
        timeout_s: float,
    ) -> Result:
        try:
            return await worker.call(function, *args, timeout_s=timeout_s)
        except WORKER_FAILURES as failure:
            worker = self._replace(worker, failure)
            raise
        finally:
            self._free.put_nowait(worker)

    def _replace(self, worker: WorkerProcess, failure: Exception) -> WorkerProcess:
        log.warning(
            "worker process replaced", work=self._initializer.__name__, reason=repr(failure)
        )
        self._on_replace()
        self._workers.discard(worker)
        ending = asyncio.create_task(asyncio.to_thread(worker.end))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        replacement = WorkerProcess(self._initializer, self._initargs)
        self._workers.add(replacement)
        with suppress(OSError, *WORKER_LOST):  # its first call tries again
            replacement.start()
        return replacement
