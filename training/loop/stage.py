"""A stage of the training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import nn

from training.loop.stage_config import StageConfig

BatchT = TypeVar("BatchT")


@dataclass(frozen=True, slots=True)
class Stage(Generic[BatchT]):
    """What is trained, on what, and how well it does.

    The parameters of `module` that require gradients are trained, and all of them saved;
    `compute_loss` may use frozen ones outside of it. `make_batch(index)` returns one process's
    share of a batch, by the index alone. `report` returns a line on the accuracy so far.
    `find_unused_parameters` is DDP's: whether a batch may leave some without a gradient.
    """

    name: str
    config: StageConfig
    module: nn.Module
    make_batch: Callable[[int], BatchT]
    compute_loss: Callable[[BatchT], torch.Tensor]
    report: Callable[[], str]
    find_unused_parameters: bool = False
