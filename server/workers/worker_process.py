"""One worker process that may hang or die, and calls into it with a time limit."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, Final, TypeVar, TypeVarTuple

from pebble import ProcessExpired, ProcessPool

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

# The time that a process may take to start, in seconds: imports, on a busy machine.
START_TIMEOUT_S: Final = 60.0
# The time beyond that of a call, for the process to acknowledge it and for pebble to end it.
MARGIN_S: Final = 1.0

# pebble raises these for a worker that dies between two calls or before it begins one.
WORKER_LOST: Final = (BrokenProcessPool, RuntimeError)
# All errors of a call whose worker hung, died or was lost.
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
        `timeout_s` seconds, `pebble.ProcessExpired` where the process died of the call.

        pebble's clock starts when the process acknowledges the call, which a stopped process never
        does, and stops nothing while the process holds the pipe's lock. So there is a second one.
        """
        self.start()
        if self._pid is not None and not self._pid.done():
            await self._await_within(self._pid, START_TIMEOUT_S)
        call = self._pool.schedule(function, args=args, timeout=timeout_s)
        return await self._await_within(call, timeout_s + MARGIN_S)

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

    async def _await_within(self, future: Future[Result], timeout_s: float) -> Result:
        """Await a result of the process; after `timeout_s` kill it and raise `TimeoutError`.

        The future of a call that ran out of time is not cancelled: pebble could not do so without
        the process.
        """
        result = asyncio.wrap_future(future)
        clock = asyncio.timeout(timeout_s)
        try:
            async with clock:
                return await asyncio.shield(result)
        except TimeoutError:
            if clock.expired():
                self._kill()
            raise
        finally:
            # Nobody else asks for the error of a call that ran out of time.
            result.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _kill(self) -> None:
        """Kill the process: a stopped one ignores all else. pebble kills one without a pid yet."""
        if not self.is_alive or self._pid is None:
            return
        # Only a child that has not been waited for keeps its pid from another process.
        for process in multiprocessing.active_children():
            if process.pid == self._pid.result():
                process.kill()
