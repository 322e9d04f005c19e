"""Runs the vision model on a batch: views to its device, embeddings back to the CPU."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from server.images.decode.image_processor import Pixels
from server.images.vision.tower import VisionModel

# What becomes of the embeddings (views, tokens, hidden) of the batch's item with this index; both
# are on the model's device.
Finish = Callable[[int, Tensor], Tensor]


class VisionRunner(Protocol):
    """A way to run the vision model. It is called from one thread."""

    @property
    def model(self) -> VisionModel:
        """The model that it runs."""

    def run(self, items: Sequence[Pixels], finish: Finish, *, are_frames: bool) -> list[Tensor]:
        """Embed the views of several images, or frames of videos, at once.

        Each item is uint8 (views, size, size, 3). Returns for each what `finish` makes of its
        embeddings, on the CPU, in memory of its own.
        """
        ...


class EagerRunner:
    """Runs the model kernel by kernel, with ordinary copies."""

    def __init__(self, model: VisionModel) -> None:
        self.model = model

    def run(self, items: Sequence[Pixels], finish: Finish, *, are_frames: bool) -> list[Tensor]:
        """Run the model on all items at once."""
        views = torch.from_numpy(np.concatenate(items)).to(self.model.device)
        embeds = self.model.embed_frames(views) if are_frames else self.model(views)
        parts = embeds.split([len(item) for item in items])
        # Copied: a slice in the cache would keep the whole batch alive.
        return [finish(index, part).to("cpu", copy=True) for index, part in enumerate(parts)]
