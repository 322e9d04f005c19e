"""Checkpoints of a stage: weights, optimizer states and the number of steps done."""

import os
from pathlib import Path

import torch
from torch import nn

from training.loop.optimizers import Optimizers


def save_checkpoint(path: Path, module: nn.Module, optimizers: Optimizers, step: int) -> None:
    """Write the checkpoint atomically."""
    states = [optimizer.state_dict() for optimizer in optimizers]
    state = {"module": module.state_dict(), "optimizers": states, "step": step}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def resume_checkpoint(path: Path, module: nn.Module, optimizers: Optimizers) -> int:
    """Load the checkpoint and return the number of steps done; 0 without a checkpoint."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    module.load_state_dict(state["module"])
    for optimizer, optimizer_state in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(optimizer_state)
    return int(state["step"])
