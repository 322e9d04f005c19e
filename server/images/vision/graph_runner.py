"""Runs the vision model by CUDA graphs, with pinned copies, on a stream of its own."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from server.images.decode.image_processor import Pixels
from server.images.vision.captured_forward import CapturedForward
from server.images.vision.runner import Finish
from server.images.vision.tower import VisionModel

ALIGNMENT: Final = 16  # bytes


class GraphRunner:
    """Runs a batch as one copy, one graph, and copies back that one event waits for.

    Launched one by one, the kernels of a tower take the interpreter's lock some 300 times a batch,
    from the thread that answers requests. On a CPU the same steps run without graphs.
    """

    def __init__(self, model: VisionModel, *, max_views: int) -> None:
        """Capture the model for up to `max_views` views. Takes seconds.

        Raises `torch.OutOfMemoryError` where the GPU has no room for it.
        """
        self.model = model
        device = model.device
        self._is_pinned = device.type == "cuda"
        self._module = torch.get_device_module(device)
        self._stream = _open_stream(device)
        self._uploads = self._allocate((max_views, model.image.size, model.image.size, 3))
        self._views = torch.zeros_like(self._uploads, device=device)
        self._downloads = self._allocate((0,))
        self._embed_views = CapturedForward(model, self._views)
        self._embed_frames = (
            None if model.video is None else CapturedForward(model.embed_frames, self._views)
        )
        self._module.synchronize()

    def run(self, items: Sequence[Pixels], finish: Finish, *, are_frames: bool) -> list[Tensor]:
        """Run the model on all items at once, `max_views` views at most."""
        num_views = self._stage(items)
        forward = self._embed_frames if are_frames else self._embed_views
        if forward is None:
            raise TypeError("the model does not support video")
        with self._module.stream(self._stream):
            self._views[:num_views].copy_(self._uploads[:num_views], non_blocking=True)
            parts = forward(num_views).split([len(item) for item in items])
            finished = [finish(index, part) for index, part in enumerate(parts)]
            return self._download(finished)

    def _stage(self, items: Sequence[Pixels]) -> int:
        """Copy all views into pinned memory; return their number."""
        start, uploads = 0, self._uploads.numpy()
        for item in items:
            uploads[start : start + len(item)] = item
            start += len(item)
        return start

    def _download(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return copies on the CPU, once the stream has come so far."""
        staged = self._stage_downloads(tensors)
        for source, target in zip(tensors, staged, strict=True):
            target.copy_(source, non_blocking=True)
        event = self._module.Event()
        event.record(self._stream)
        event.synchronize()
        return [each.clone() for each in staged]

    def _stage_downloads(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return a part of the pinned memory for each tensor; the memory grows as needed."""
        sizes = [-(-each.nbytes // ALIGNMENT) * ALIGNMENT for each in tensors]
        if sum(sizes) > len(self._downloads):
            self._downloads = self._allocate((sum(sizes),))
        parts = self._downloads[: sum(sizes)].split(sizes)
        return [
            part[: each.nbytes].view(each.dtype).view(each.shape)
            for part, each in zip(parts, tensors, strict=True)
        ]

    def _allocate(self, shape: tuple[int, ...]) -> Tensor:
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self._is_pinned)


def _open_stream(device: torch.device) -> Any:
    """Return a stream of CUDA's lowest priority, its default; a CPU has only a stand-in."""
    return torch.cuda.Stream(device) if device.type == "cuda" else torch.cpu.Stream()
