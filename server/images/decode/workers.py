"""The decode workers: processes that may hang or die without taking more than one image along."""

import asyncio
import multiprocessing
import os
import signal
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Final

from pebble import ProcessExpired, ProcessPool

from server.images.decode.decode import DecodedImage, DecodeFailure, DecodeOptions
from server.images.decode.sandbox import DecodeLimits, decode_within, start_worker
from server.telemetry.metrics import Metrics

DecodeResult = DecodedImage | DecodeFailure

# A worker that is lost with a task it had not begun, or between two tasks, says no more than this.
LOST: Final = (BrokenProcessPool, RuntimeError)

# Of an image whose workers are killed from outside.
TRIES: Final = 3


class DecodeWorkers:
    """Runs decodes in `count` worker processes and replaces those that die.

    No more images are handed over than there are workers. What waits does so here, where giving up
    costs nothing; what has begun is finished even if nobody waits for it any more.
    """

    def __init__(self, *, count: int, limits: DecodeLimits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._workers = {DecodeWorker(limits) for _ in range(count)}
        # The worker used last comes first: its caches are warm.
        self._free: asyncio.LifoQueue[DecodeWorker] = asyncio.LifoQueue()
        for worker in self._workers:
            self._free.put_nowait(worker)
        self._busy: set[asyncio.Task[DecodeResult]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        metrics.decode_workers.set_function(self._count_alive)

    async def run(self, data: bytes, options: DecodeOptions) -> DecodeResult:
        """Decode one image.

        Raises `TimeoutError` where that took too long, `pebble.ProcessExpired` where the worker
        died of it. A worker killed from outside says nothing about the image, which is tried again;
        not without end, since it may have been the kernel, short of memory.
        """
        for _ in range(TRIES - 1):
            try:
                return await self._run(data, options)
            except LOST:
                continue
            except ProcessExpired as expired:
                if expired.exitcode != -signal.SIGKILL:
                    raise
        return await self._run(data, options)

    def close(self) -> None:
        """End the workers."""
        for task in self._busy:
            task.cancel()
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.join()

    async def _run(self, data: bytes, options: DecodeOptions) -> DecodeResult:
        worker = await self._free.get()
        work = asyncio.create_task(self._use(worker, data, options))
        self._busy.add(work)
        work.add_done_callback(self._busy.discard)
        # Also when nobody waits any more: then an exception counts as seen, too.
        work.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(work)

    async def _use(
        self, worker: "DecodeWorker", data: bytes, options: DecodeOptions
    ) -> DecodeResult:
        try:
            return await worker.run(data, options)
        except (TimeoutError, ProcessExpired, *LOST):
            worker = self._replace(worker)
            raise
        finally:
            self._free.put_nowait(worker)

    def _replace(self, worker: "DecodeWorker") -> "DecodeWorker":
        self._metrics.decode_workers_replaced.inc()
        self._workers.remove(worker)
        ending = asyncio.create_task(asyncio.to_thread(worker.end))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        replacement = DecodeWorker(self._limits)
        self._workers.add(replacement)
        return replacement

    def _count_alive(self) -> int:
        return sum(worker.alive for worker in self._workers)


class DecodeWorker:
    """One worker process, in a pool of its own.

    In a shared pool a worker that dies with a task it has not yet acknowledged, or with the lock of
    the pool's pipe, takes other images along.
    """

    def __init__(self, limits: DecodeLimits) -> None:
        self._limits = limits
        self._pool = ProcessPool(
            max_workers=1,
            initializer=start_worker,
            initargs=[limits],
            # Spawned, not forked: a fork of this process would inherit its threads' locks.
            context=multiprocessing.get_context("spawn"),
        )
        self._pid = self._pool.schedule(os.getpid)

    @property
    def alive(self) -> bool:
        """Whether the process has started and not ended."""
        if not self._pid.done() or self._pid.cancelled() or self._pid.exception():
            return False
        with suppress(ProcessLookupError):
            os.kill(self._pid.result(), 0)
            return True
        return False

    async def run(self, data: bytes, options: DecodeOptions) -> DecodeResult:
        """Decode one image, with the errors of `pebble.ProcessPool`."""
        verdict: DecodeResult = await asyncio.wrap_future(
            self._pool.schedule(
                decode_within, args=[self._limits, data, options], timeout=self._limits.wall_s
            )
        )
        return verdict

    def stop(self) -> None:
        """Begin to end the process."""
        self._pool.stop()

    def join(self) -> None:
        """Wait until the process has ended."""
        self._pool.join()

    def end(self) -> None:
        """End the process."""
        self.stop()
        self.join()
