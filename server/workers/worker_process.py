"""One worker process that may hang or die, and calls into it with a time limit."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar, TypeVarTuple

from pebble import ProcessExpired, ProcessPool

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

# Seconds that a process may take to start: imports, on a busy machine.
START_TIMEOUT_S: Final = 60.0
# Seconds between two checks whether a process with a call was stopped or is gone.
LOOK_INTERVAL_S: Final = 1.0


class WorkerLost(RuntimeError):
    """The process could not be started, has ended or was stopped: the call is not at fault."""


# pebble raises BrokenProcessPool for a worker that dies before it begins a call.
WORKER_LOST: Final = (BrokenProcessPool, WorkerLost)
# All errors of calls whose worker hung, died or was lost.
WORKER_FAILURES: Final = (TimeoutError, ProcessExpired, *WORKER_LOST)


class WorkerProcess:
    """A worker process in a pebble pool of its own.

    In a shared pool, a dying worker can break the calls of others: while it holds the lock of the
    pool's pipe, or a call that it has not yet acknowledged.
    """

    def __init__(self, initializer: Callable[..., None], initargs: Sequence[Any] = ()) -> None:
        """`initializer(*initargs)` prepares the process before its first call."""
        self._pool = ProcessPool(
            max_workers=1,
            initializer=initializer,
            initargs=initargs,
            # Spawned, not forked: a fork of this process would inherit its threads' locks.
            context=multiprocessing.get_context("spawn"),
        )
        self._pid: Future[int] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the process has started and not ended."""
        pid = self._pid
        if pid is None or not pid.done() or pid.cancelled() or pid.exception():
            return False
        with suppress(ProcessLookupError):
            os.kill(pid.result(), 0)
            return True
        return False

    def start(self) -> None:
        """Start the process without waiting for it. The first call does so, too."""
        if self._pid is None:
            self._pid = self._pool.schedule(os.getpid)

    async def call(
        self, function: Callable[[*Arguments], Result], *args: *Arguments, timeout_s: float
    ) -> Result:
        """Return `function(*args)`, computed in the process.

        Raises what `function` raises, and one of `WORKER_FAILURES`: `TimeoutError` after
        `timeout_s` seconds, `pebble.ProcessExpired` if the call killed the process.

        The timeout does not use pebble's, which goes by the wall clock, which may jump, and starts
        when the process acknowledges the call, which a stopped process never does.
        """
        await self._wait_for_start()
        try:
            result = self._pool.schedule(function, args=args)
        except RuntimeError as error:
            raise WorkerLost("the process has ended") from error
        return await self._await_within(result, timeout_s)

    def stop(self) -> None:
        """Begin to end the process."""
        self._pool.stop()
        self._kill()

    def join(self) -> None:
        """Wait until the process has ended, after `stop`."""
        self._pool.join()

    def end(self) -> None:
        """End the process and wait for that."""
        self.stop()
        self.join()

    async def _wait_for_start(self) -> None:
        try:
            self.start()
            if self._pid is not None and not self._pid.done():
                await self._await_within(self._pid, START_TIMEOUT_S)
        # Out of memory, processes, file descriptors or time, or the process ended at once.
        except (OSError, RuntimeError) as error:
            raise WorkerLost("the process does not start") from error

    async def _await_within(self, future: Future[Result], timeout_s: float) -> Result:
        """Await a result of the process; after `timeout_s` kill it and raise `TimeoutError`.

        The future of a call that ran out of time is not cancelled: pebble could not do so without
        the process.
        """
        result = asyncio.wrap_future(future)
        # Nothing else retrieves the error of a call that ran out of time.
        result.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(timeout_s):
                while not (await asyncio.wait([result], timeout=LOOK_INTERVAL_S))[0]:
                    self._check_usable()
        except (TimeoutError, WorkerLost):
            self.stop()
            raise
        return result.result()

    def _check_usable(self) -> None:
        # When its pool breaks, pebble aborts the calls that it has and forgets one that it is
        # just being handed.
        if not self._pool.active:
            raise WorkerLost("the process has ended")
        if self.is_alive and self._pid is not None and _is_stopped(self._pid.result()):
            raise WorkerLost("the process was stopped")

    def _kill(self) -> None:
        """Kill the process: a stopped one ignores other signals. pebble kills one without a pid."""
        if not self.is_alive or self._pid is None:
            return
        # A pid is reused only after the child has been waited for.
        for process in multiprocessing.active_children():
            if process.pid == self._pid.result():
                process.kill()


def _is_stopped(pid: int) -> bool:
    """Whether a signal has stopped a process, according to Linux."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(") ")[2].startswith("T")
