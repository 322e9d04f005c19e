"""The decode workers. A hang or crash fails only one image."""

from server.images.decode.decode import DecodedImage, DecodeFailure, DecodeOptions
from server.images.decode.sandbox import DecodeLimits, decode_within_limits, start_decode_worker
from server.telemetry.metrics import Metrics
from server.workers.worker_pool import WorkerPool


class DecodeWorkers:
    """Decodes images in `count` worker processes, each image within `limits`."""

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
        metrics.decode_workers.set_function(self._pool.count_alive)
        metrics.decodes_waiting.set_function(lambda: self._pool.num_waiting)
        metrics.decodes_running.set_function(lambda: self._pool.num_running)

    async def run(self, data: bytes, options: DecodeOptions) -> DecodedImage | DecodeFailure:
        """Decode one image.

        Raises `TimeoutError` after `limits.wall_s` seconds, `pebble.ProcessExpired` where the
        worker died of the image.
        """
        return await self._pool.run(
            decode_within_limits, self._limits, data, options, timeout_s=self._limits.wall_s
        )

    def close(self) -> None:
        """End the workers."""
        self._pool.close()
