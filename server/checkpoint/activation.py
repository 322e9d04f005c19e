"""The activations of tower and projector: transformers' names of those without weights."""

from collections.abc import Mapping
from typing import Any, Final

ACTIVATIONS: Final = (
    "gelu",
    "gelu_10",
    "gelu_accurate",
    "gelu_fast",
    "gelu_new",
    "gelu_python",
    "gelu_python_tanh",
    "gelu_pytorch_tanh",
    "hardswish",
    "laplace",
    "leaky_relu",
    "linear",
    "mish",
    "quick_gelu",
    "relu",
    "relu2",
    "relu6",
    "sigmoid",
    "silu",
    "sqrtsoftplus",
    "swish",
    "tanh",
)


def read_activation(config: Mapping[str, Any], key: str) -> str:
    """Return the activation's name. Raises `ValueError` if it is not one of `ACTIVATIONS`."""
    name = config[key]
    if name not in ACTIVATIONS:
        raise ValueError(f"{key} {name!r} is not supported; what is: {', '.join(ACTIVATIONS)}")
    return str(name)
