"""Runs the vision model over whatever images wait together, in one thread."""

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from llava_spec.anyres import Size
from server.images.vision.image_tokens import count_base_view_tokens, count_image_tokens
from server.images.vision.tower import VisionModel
from server.telemetry.metrics import Metrics

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Waiting:
    views: Pixels
    image_size: Size
    image_embeds: asyncio.Future[Tensor]


class VisionBatcher:
    """Encodes images in batches: while one batch is computed, the next one gathers.

    No timer: an image that finds the tower idle starts at once.
    """

    def __init__(self, model: VisionModel, *, max_views: int, metrics: Metrics) -> None:
        self._model = model
        self._max_views = max_views
        self._metrics = metrics
        self._queue: deque[_Waiting] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vision")
        self._running: asyncio.Task[None] | None = None

    async def encode(self, views: Pixels, image_size: Size) -> Tensor:
        """Return image_embeds (rows, hidden) of one image's uint8 views.

        `views` is (num_views, size, size, 3), `image_size` the (width, height) of the image itself.
        The result is on the CPU, in the model's dtype.
        """
        waiting = _Waiting(views, image_size, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        with self._metrics.stage("encode"):
            return await waiting.image_embeds

    @property
    def rows_depend_on_size(self) -> bool:
        """Whether larger images take more rows of the prompt."""
        return self._model.image.aspect_ratio == "anyres"

    def num_rows(self, image_size: Size | None = None) -> int:
        """Return the rows that `encode` makes of an image; without a size, of its base view."""
        if image_size is None:
            return count_base_view_tokens(self._model.vision)
        return count_image_tokens(image_size, self._model.vision, self._model.image)

    def close(self) -> None:
        """Let the running batch finish and end the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while batch := self._next_batch():
                self._metrics.vision_batch_size.observe(sum(len(each.views) for each in batch))
                try:
                    results = await loop.run_in_executor(self._thread, self._encode, batch)
                except Exception as error:
                    _fail(batch, error)
                else:
                    _deliver(batch, results)
        finally:
            self._running = None

    def _next_batch(self) -> list[_Waiting]:
        """Take images up to the view limit (at least one), leaving out those nobody awaits."""
        batch: list[_Waiting] = []
        num_views = 0
        while self._queue:
            waiting = self._queue[0]
            if batch and num_views + len(waiting.views) > self._max_views:
                break
            self._queue.popleft()
            if not waiting.image_embeds.done():
                batch.append(waiting)
                num_views += len(waiting.views)
        return batch

    def _encode(self, batch: list[_Waiting]) -> list[Tensor]:
        views = torch.from_numpy(np.concatenate([waiting.views for waiting in batch]))
        encoded = self._model(views.to(self._model.device))  # (views, num_image_tokens, hidden)
        parts = encoded.split([len(waiting.views) for waiting in batch])
        # Copied, since a slice would keep the whole batch alive in the cache.
        return [
            self._model.merge(part, waiting.image_size).to("cpu", copy=True)
            for part, waiting in zip(parts, batch, strict=True)
        ]


def _deliver(batch: list[_Waiting], results: list[Tensor]) -> None:
    for waiting, image_embeds in zip(batch, results, strict=True):
        if not waiting.image_embeds.done():
            waiting.image_embeds.set_result(image_embeds)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.image_embeds.done():
            waiting.image_embeds.set_exception(error)
