"""The activations that a configuration can name, as transformers names them."""

import math
from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from server.checkpoint.activation import ACTIVATIONS


class Activation(nn.Module):
    """A function of each element."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, hidden: Tensor) -> Tensor:
        """Apply it; the shape stays."""
        return self.function(hidden)


def quick_gelu(hidden: Tensor) -> Tensor:
    """Return CLIP's approximation of GELU, `x * sigmoid(1.702 x)`."""
    return hidden * torch.sigmoid(1.702 * hidden)


def gelu_tanh(hidden: Tensor) -> Tensor:
    """Return GELU's approximation by tanh; transformers writes it in five ways."""
    return functional.gelu(hidden, approximate="tanh")


def gelu_10(hidden: Tensor) -> Tensor:
    """Return GELU, clipped to 10."""
    return functional.gelu(hidden).clip(-10, 10)


def laplace(hidden: Tensor) -> Tensor:
    """Return MEGA's approximation of a squared ReLU, with its constants."""
    return 0.5 * (1 + torch.erf((hidden - 0.707107) / (0.282095 * math.sqrt(2))))


def relu2(hidden: Tensor) -> Tensor:
    """Return the square of ReLU."""
    return functional.relu(hidden).square()


def sqrtsoftplus(hidden: Tensor) -> Tensor:
    """Return the root of softplus."""
    return functional.softplus(hidden).sqrt()


def linear(hidden: Tensor) -> Tensor:
    """Return the values as they are."""
    return hidden


# Those that torch.nn.functional lacks.
_FUNCTIONS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    each.__name__: each
    for each in (gelu_10, gelu_tanh, laplace, linear, quick_gelu, relu2, sqrtsoftplus)
}


def build_activation(name: str) -> Activation:
    """Return the activation of a config's `hidden_act`, one of `ACTIVATIONS`."""
    function = ACTIVATIONS[name]
    return Activation(_FUNCTIONS.get(function) or getattr(functional, function))
