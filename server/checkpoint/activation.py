"""The activations of tower and projector: transformers' names of those without weights."""

from collections.abc import Mapping
from typing import Any, Final

# The function that each name stands for, one of `server.images.vision.activations`, else of
# `torch.nn.functional`.
ACTIVATIONS: Final[Mapping[str, str]] = {
    "gelu": "gelu",
    "gelu_10": "gelu_10",
    "gelu_accurate": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_python": "gelu",
    "gelu_python_tanh": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "hardswish": "hardswish",
    "laplace": "laplace",
    "leaky_relu": "leaky_relu",
    "linear": "linear",
    "mish": "mish",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "relu2": "relu2",
    "relu6": "relu6",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "sqrtsoftplus": "sqrtsoftplus",
    "swish": "silu",
    "tanh": "tanh",
}


def read_activation(config: Mapping[str, Any], key: str) -> str:
    """Return the activation's name. Raises `ValueError` if it is not one of `ACTIVATIONS`."""
    name = config[key]
    if not (isinstance(name, str) and name in ACTIVATIONS):
        raise ValueError(f"{key} {name!r} is not supported; supported: {', '.join(ACTIVATIONS)}")
    return name
