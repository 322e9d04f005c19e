"""Muon and AdamW, which share one learning rate schedule."""

import re

import torch
from torch import nn

from training.loop.stage_config import StageConfig

Optimizers = tuple[torch.optim.Muon, torch.optim.AdamW]

# Muon's learning rate as a multiple of AdamW's.
_MUON_LEARNING_RATE_FACTOR = 4.0
# The matrices between hidden states: those of the layers and the projector.
_HIDDEN_MATRIX = re.compile(r"(^|\.)(layers|linear_\d+)\.")


def build_optimizers(module: nn.Module) -> Optimizers:
    """Muon for matrices between hidden states, AdamW for all other trainable parameters.

    Muon learns in about half of AdamW's steps. It is not made for embeddings and heads, which are
    not matrices between hidden states.
    """
    hidden, outer, vectors = list[nn.Parameter](), list[nn.Parameter](), list[nn.Parameter]()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            matrices = hidden if _HIDDEN_MATRIX.search(name) else outer
            (matrices if parameter.ndim == 2 else vectors).append(parameter)
    groups = [
        {"params": outer, "weight_decay": 0.05},
        {"params": vectors, "weight_decay": 0.0},
    ]
    muon = torch.optim.Muon(hidden, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    return muon, torch.optim.AdamW(groups, betas=(0.9, 0.98))


def step_optimizers(optimizers: Optimizers, config: StageConfig, step: int) -> None:
    """Update the parameters at this step's learning rate."""
    for optimizer, factor in zip(optimizers, (_MUON_LEARNING_RATE_FACTOR, 1.0), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = factor * config.compute_learning_rate(step)
        optimizer.step()
