"""The activations that a configuration can name, as transformers names them."""

import math
from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional


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


FUNCTIONS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "gelu": functional.gelu,
    "gelu_10": gelu_10,
    "gelu_accurate": gelu_tanh,
    "gelu_fast": gelu_tanh,
    "gelu_new": gelu_tanh,
    "gelu_python": functional.gelu,
    "gelu_python_tanh": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "hardswish": functional.hardswish,
    "laplace": laplace,
    "leaky_relu": functional.leaky_relu,
    "linear": lambda hidden: hidden,
    "mish": functional.mish,
    "quick_gelu": quick_gelu,
    "relu": functional.relu,
    "relu2": relu2,
    "relu6": functional.relu6,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "sqrtsoftplus": sqrtsoftplus,
    "swish": functional.silu,
    "tanh": torch.tanh,
}


def build_activation(name: str) -> Activation:
    """Return the activation of a config's `hidden_act`, one of `ACTIVATIONS`."""
    return Activation(FUNCTIONS[name])
