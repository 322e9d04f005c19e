"""Muon and AdamW as one optimizer."""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

# Muon's learning rate as a multiple of AdamW's.
_MUON_LEARNING_RATE_FACTOR = 4.0
# The matrices between hidden states: those of the layers and the projector.
_HIDDEN_MATRIX = re.compile(r"(^|\.)(layers|linear_\d+)\.")


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon for matrices between hidden states, AdamW for all other trainable parameters.

    Muon learns in about half of AdamW's steps. It is not made for embeddings and heads, which are
    not matrices between hidden states.
    """

    def __init__(self, module: nn.Module, learning_rate: float) -> None:
        hidden, outer, vectors = _sort_parameters(module)
        groups = [
            {"params": outer, "weight_decay": 0.05},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self._adamw = torch.optim.AdamW(groups, learning_rate, betas=(0.9, 0.98))
        self._muon = torch.optim.Muon(
            hidden,
            _MUON_LEARNING_RATE_FACTOR * learning_rate,
            weight_decay=0.05,
            adjust_lr_fn="match_rms_adamw",
        )
        super().__init__(self._list_groups(), {})

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update the parameters. A closure is not supported."""
        assert closure is None  # noqa: S101 - the trainer has none
        self._adamw.step()
        self._muon.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both."""
        return {"adamw": self._adamw.state_dict(), "muon": self._muon.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the states of both. They make new groups, which the schedule must see."""
        self._adamw.load_state_dict(state_dict["adamw"])
        self._muon.load_state_dict(state_dict["muon"])
        self.param_groups = self._list_groups()

    def _list_groups(self) -> list[dict[str, Any]]:
        """Return the groups, which are the optimizers' own: a schedule sets their rates."""
        return [*self._adamw.param_groups, *self._muon.param_groups]


def _sort_parameters(
    module: nn.Module,
) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """Return the trainable matrices between hidden states, other matrices, and vectors."""
    hidden, outer, vectors = list[nn.Parameter](), list[nn.Parameter](), list[nn.Parameter]()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            matrices = hidden if _HIDDEN_MATRIX.search(name) else outer
            (matrices if parameter.ndim == 2 else vectors).append(parameter)
    return hidden, outer, vectors
