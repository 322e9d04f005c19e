"""The decode workers. A hang or crash fails only one image or video."""

import asyncio

from server.images.decode.decode import DecodedImage, DecodeFailure, DecodeOptions
from server.images.decode.sandbox import (
    DecodeLimits,
    decode_video_within_limits,
    decode_within_limits,
    start_decode_worker,
)
from server.images.decode.video.decode import DecodedVideo
from server.images.decode.video.faults import VideoFailure, VideoOptions
from server.images.decode.video.sampling import FrameSampling
from server.telemetry.metrics import Metrics
from server.workers.worker_pool import WorkerPool


class DecodeWorkers:
    """Decodes images and videos in `count` worker processes, each within `limits`."""

    def __init__(self, *, count: int, limits: DecodeLimits, metrics: Metrics) -> None:
        """Start the workers."""
        self.limits = limits
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

    async def run(self, data: bytes, options: DecodeOptions) -> DecodedImage | DecodeFailure:
        """Decode one image.

        Raises `TimeoutError` after `limits.wall_s` seconds, `pebble.ProcessExpired` where the
        worker died of the image.
        """
        return await self._pool.run(
            decode_within_limits, self.limits, data, options, timeout_s=self.limits.wall_s
        )

    async def run_video(
        self, data: bytes, options: VideoOptions, sampling: FrameSampling
    ) -> DecodedVideo | VideoFailure:
        """Decode one video's sampled frames; raises what `run` does."""
        return await self._pool.run(
            decode_video_within_limits,
            self.limits,
            data,
            options,
            sampling,
            timeout_s=self.limits.wall_s,
            slots=self._video_slots,
        )

    def close(self) -> None:
        """End the workers."""
        self._pool.close()
