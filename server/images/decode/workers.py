"""The decode workers. A hang or crash fails only one image or video."""

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar, TypeVarTuple

from pebble import ProcessExpired

from server.images.decode.sandbox import DecodeLimits, run_within_limits, start_decode_worker
from server.telemetry.metrics import Metrics
from server.workers.worker_pool import WorkerPool

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class DecodeTimedOut(Exception):
    """A decode took longer than it may; the text says how long that is."""


class DecodeCrashed(Exception):
    """A worker died of what it decoded."""


class DecodeWorkers:
    """Decodes images and videos in `count` worker processes, each within `limits`."""

    def __init__(self, *, count: int, limits: DecodeLimits, metrics: Metrics) -> None:
        """Start the workers."""
        self._limits = limits
        self._pool = WorkerPool(
            count,
            start_decode_worker,
            [limits],
            on_replace=metrics.decode_workers_replaced.inc,
        )
        self._pool.start()
        # A video takes long: one worker is left to images, where there is another one.
        self._video_slots = asyncio.Semaphore(max(1, count - 1))
        metrics.decode_workers.set_function(self._pool.count_alive)
        metrics.decodes_waiting.set_function(lambda: self._pool.num_waiting)
        metrics.decodes_running.set_function(lambda: self._pool.num_running)

    async def run(
        self, function: Callable[[*Arguments], Result], *args: *Arguments, is_video: bool = False
    ) -> Result:
        """Return `function(*args)`, computed in a worker: what reads one image or video.

        Raises `DecodeTimedOut` or `DecodeCrashed`.
        """
        limits = self._limits
        try:
            return await self._pool.run(
                run_within_limits,
                limits,
                function,
                *args,
                timeout_s=limits.wall_s,
                slots=self._video_slots if is_video else None,
            )
        except TimeoutError:
            raise DecodeTimedOut(f"{limits.wall_s:g} seconds") from None
        except ProcessExpired as expired:
            if expired.exitcode == -signal.SIGXCPU:
                raise DecodeTimedOut(f"{limits.cpu_s} seconds of CPU time") from None
            raise DecodeCrashed from None
        except BrokenProcessPool:
            raise DecodeCrashed from None

    def close(self) -> None:
        """End the workers."""
        self._pool.close()
