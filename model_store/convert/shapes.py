"""Expected shapes of weights, and the selection of weights by them."""

from collections.abc import Mapping
from pathlib import Path

from model_store.convert.weights import Weights
from model_store.errors import ConversionError

Shape = tuple[int, ...]


def linear_shapes(name: str, inputs: int, outputs: int, *, bias: bool = True) -> dict[str, Shape]:
    """Return the shapes of a linear layer."""
    shapes: dict[str, Shape] = {f"{name}.weight": (outputs, inputs)}
    return shapes | {f"{name}.bias": (outputs,)} if bias else shapes


def select_weights(weights: Weights, shapes: Mapping[str, Shape], folder: Path) -> Weights:
    """Return the weights named in `shapes`.

    Raises `ConversionError` where one is missing or has another shape.
    """
    for name, shape in shapes.items():
        if name not in weights:
            raise ConversionError(f"{folder} lacks the weight {name}")
        if weights[name].shape != shape:
            raise ConversionError(
                f"{weights[name].origin}: {name} is {weights[name].shape}, "
                f"the configuration wants {shape}"
            )
    return {name: weights[name] for name in shapes}
