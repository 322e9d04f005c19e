"""Batches images over requests, and runs the vision model in one thread."""

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass, field

import torch
from torch import Tensor

from llava_spec.anyres import Size
from server.checkpoint.vision import ImageConfig
from server.images.decode.image_processor import Pixels
from server.images.vision.image_tokens import count_base_view_tokens, count_image_tokens
from server.images.vision.runner import VisionRunner
from server.telemetry.metrics import Metrics
from server.telemetry.stages import TimedStage, batch_span


@dataclass(slots=True)
class _QueuedImage:
    """An image's views, or without an `image_size` a video's frames.

    `parts` are the embeddings of the first `num_taken` views, on the CPU until they are all there:
    so no number of unfinished videos fills the GPU.
    """

    views: Pixels
    image_size: Size | None
    image_embeds: asyncio.Future[Tensor]
    stage: TimedStage
    num_taken: int = 0
    parts: list[Tensor] = field(default_factory=list)

    @property
    def num_left(self) -> int:
        """Views that no batch has yet."""
        return len(self.views) - self.num_taken

    def take(self, count: int) -> Pixels:
        """Return the next views."""
        self.num_taken += count
        return self.views[self.num_taken - count : self.num_taken]

    def keep(self, embeds: Tensor) -> Tensor | None:
        """Return the embeddings if they are those of all views; keep those of some."""
        if not self.num_left:
            return embeds
        self.parts.append(embeds)
        return None


_Batch = list[tuple[_QueuedImage, Pixels]]


class VisionBatcher:
    """Encodes images in batches. While one batch is computed, the next one queues.

    There is no timer: an image that finds the tower idle starts at once. One of more views than a
    batch takes (a video) queues again after each batch, so that others wait for one batch of each
    that came before them.
    """

    def __init__(self, runner: VisionRunner, *, max_views: int, metrics: Metrics) -> None:
        self._runner = runner
        self._model = runner.model
        self._max_views = max_views
        self._metrics = metrics
        self._queue: deque[_QueuedImage] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vision")
        self._run_task: asyncio.Task[None] | None = None
        metrics.views_waiting.set_function(lambda: self.num_views_waiting)

    async def encode(self, views: Pixels, image_size: Size) -> Tensor:
        """Return image_embeds (num_image_tokens, hidden) of one image's uint8 views.

        `views` is (num_views, size, size, 3), `image_size` the full image's (width, height). The
        result is on the CPU, in the model's dtype.
        """
        return await self._enqueue(views, image_size)

    async def encode_video(self, frames: Pixels) -> Tensor:
        """Return embeddings (num_video_tokens, hidden) of a video's uint8 frames; as `encode`."""
        return await self._enqueue(frames, None)

    async def _enqueue(self, views: Pixels, image_size: Size | None) -> Tensor:
        future: asyncio.Future[Tensor] = asyncio.get_running_loop().create_future()
        with self._metrics.stage("encode") as stage:
            self._queue.append(_QueuedImage(views, image_size, future, stage))
            if self._run_task is None:
                # The batches belong to no request.
                self._run_task = asyncio.create_task(self._run(), context=Context())
            return await future

    @property
    def num_views_waiting(self) -> int:
        """Views that no batch has yet."""
        # A copy: metrics are rendered in a thread.
        return sum(queued.num_left for queued in tuple(self._queue))

    @property
    def image(self) -> ImageConfig:
        """How the model's images are preprocessed."""
        return self._model.image

    def count_image_tokens(self, image_size: Size | None = None) -> int:
        """Return an image's number of image tokens; without a size, a base view's."""
        if image_size is None:
            return count_base_view_tokens(self._model.vision)
        return count_image_tokens(image_size, self._model.vision, self._model.image)

    def close(self) -> None:
        """Wait for the running batch and end the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while batch := self._next_batch():
                num_views = sum(len(views) for _, views in batch)
                self._metrics.vision_batch_size.observe(num_views)
                stages = [queued.stage for queued, _ in batch]
                try:
                    with batch_span("vision_batch", stages, images=len(batch), views=num_views):
                        results = await loop.run_in_executor(self._thread, self._encode, batch)
                except Exception as error:
                    _fail(batch, error)
                else:
                    _deliver(batch, results)
        finally:
            self._run_task = None

    def _next_batch(self) -> _Batch:
        """Take views off the queue up to the view limit, of images or of videos.

        Skips cancelled ones.
        """
        batch: _Batch = []
        room = self._max_views
        while self._queue:
            queued = self._queue[0]
            if queued.image_embeds.done():
                self._queue.popleft()
                continue
            count = min(queued.num_left, self._max_views)
            if batch and (count > room or not _is_same_medium(queued, batch[0][0])):
                break
            self._queue.popleft()
            batch.append((queued, queued.take(count)))
            room -= count
            if queued.num_left:
                self._queue.append(queued)
                break
        return batch

    def _encode(self, batch: _Batch) -> list[Tensor | None]:
        """Encode the views of a batch; return the embeddings of what is complete with it."""
        queued = [each for each, _ in batch]
        results = self._runner.run(
            [views for _, views in batch],
            lambda index, part: self._finish(queued[index], part),
            are_frames=queued[0].image_size is None,
        )
        return [each.keep(result) for each, result in zip(queued, results, strict=True)]

    def _finish(self, queued: _QueuedImage, part: Tensor) -> Tensor:
        """Merge the embeddings with those of earlier batches, if they are the last."""
        if queued.num_left:
            return part
        parts = [*(each.to(self._model.device) for each in queued.parts), part]
        if queued.image_size is None:
            return self._model.merge_frames(torch.cat(parts))
        return self._model.merge(torch.cat(parts), queued.image_size)


def _is_same_medium(queued: _QueuedImage, other: _QueuedImage) -> bool:
    return (queued.image_size is None) == (other.image_size is None)


def _deliver(batch: _Batch, results: list[Tensor | None]) -> None:
    for (queued, _), image_embeds in zip(batch, results, strict=True):
        if image_embeds is not None and not queued.image_embeds.done():
            queued.image_embeds.set_result(image_embeds)


def _fail(batch: _Batch, error: Exception) -> None:
    for queued, _ in batch:
        if not queued.image_embeds.done():
            queued.image_embeds.set_exception(error)
