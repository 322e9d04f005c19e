"""CPU threads of the tower: all cores while the engine rests, else those that the engine leaves."""

from collections.abc import Callable
from typing import Any

import torch

from server.images.vision.tower import VisionModel


class AdaptiveThreads:
    """Chooses the number of threads before each layer, since a view may take seconds."""

    def __init__(self, is_engine_busy: Callable[[], bool], *, beside: int, alone: int) -> None:
        """`beside` a busy engine there are fewer threads than `alone`."""
        self._is_engine_busy = is_engine_busy
        self._beside = beside
        self._alone = alone

    def attach(self, model: VisionModel) -> None:
        """Choose before each layer of the model's tower."""
        for layer in model.vision_tower.encoder.layers:
            layer.register_forward_pre_hook(self._choose)

    def _choose(self, *_: Any) -> None:
        threads = self._beside if self._is_engine_busy() else self._alone
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
