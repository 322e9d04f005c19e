"""The decode workers: processes that may hang or die without taking more than one image along."""

import asyncio
import multiprocessing
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

from pebble import ProcessPool

from server.media.decode import Decoded, DecodeOptions, Undecodable, decode, start_worker

Verdict = Decoded | Undecodable


class DecodeWorkers:
    """Runs `decode` in worker processes; each call has at most `timeout_s` seconds.

    No more images are handed over than there are workers. What waits does so here, where giving up
    costs nothing: pebble would kill the worker that has taken a cancelled task.
    """

    def __init__(self, *, count: int, timeout_s: float) -> None:
        self._count = count
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(count)
        self._pool = self._start_pool()

    async def run(self, data: bytes, options: DecodeOptions) -> Verdict:
        """Decode one image.

        Raises `TimeoutError` where that took too long, `pebble.ProcessExpired` where the worker
        died of it.
        """
        try:
            return await self._run(data, options)
        except BrokenProcessPool:
            return await self._run(data, options)

    def close(self) -> None:
        """End the workers."""
        self._pool.stop()
        self._pool.join()

    async def _run(self, data: bytes, options: DecodeOptions) -> Verdict:
        await self._free.acquire()
        try:
            scheduled = self._schedule(data, options)
        except BaseException:
            self._free.release()
            raise
        verdict = asyncio.wrap_future(scheduled)
        # Also when nobody waits any more: then an exception counts as seen, too.
        verdict.add_done_callback(lambda done: done.cancelled() or done.exception())
        verdict.add_done_callback(lambda _: self._free.release())
        return await asyncio.shield(verdict)

    def _schedule(self, data: bytes, options: DecodeOptions) -> Future[Verdict]:
        try:
            return self._submit(data, options)
        except RuntimeError:
            # Pebble gives a pool up when its workers die while they are idle.
            self._pool.stop()
            self._pool = self._start_pool()
            return self._submit(data, options)

    def _submit(self, data: bytes, options: DecodeOptions) -> Future[Verdict]:
        future: Future[Verdict] = self._pool.schedule(
            decode, args=[data, options], timeout=self._timeout_s
        )
        return future

    def _start_pool(self) -> ProcessPool:
        # Spawned, not forked: a fork of this process would inherit its threads' locks.
        context = multiprocessing.get_context("spawn")
        return ProcessPool(max_workers=self._count, initializer=start_worker, context=context)
