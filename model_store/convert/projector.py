"""LLaVA's projector: its weights under transformers' names."""

from pathlib import Path
from typing import Final

from llava_spec.projector import parse_projector_type
from model_store.convert.json_file import Json
from model_store.convert.shapes import Shape, linear_shapes, select_weights
from model_store.convert.weights import Weights
from model_store.errors import ConversionError

_RELEASED: Final = "model.mm_projector"
_CONVERTED: Final = "multi_modal_projector"


def read_projector_type(config: Json) -> str:
    """Return `mm_projector_type`; a config without it, such as LLaVA v1's, means `linear`."""
    return str(config.get("mm_projector_type") or "linear")


def convert_projector(weights: Weights, config: Json, vision_hidden: int, folder: Path) -> Weights:
    """Return the projector's weights as `multi_modal_projector.linear_N`.

    Raises `ConversionError`.
    """
    shapes: dict[str, Shape] = {}
    new_names: dict[str, str] = {}
    projector_type, hidden = read_projector_type(config), config["hidden_size"]
    try:
        projector = parse_projector_type(projector_type)
    except ValueError as error:
        raise ConversionError(str(error)) from None
    for layer in range(projector.num_layers):
        old = f"model.{projector.module_name(layer)}"
        layer_shapes = linear_shapes(old, hidden if layer else vision_hidden, hidden)
        shapes |= layer_shapes
        new_names |= {
            name: name.replace(old, f"{_CONVERTED}.linear_{layer + 1}") for name in layer_shapes
        }
    if projector.kind == "identity" and vision_hidden != hidden:
        raise ConversionError(
            f"{folder}: a projector of type 'identity' cannot map the tower's {vision_hidden} "
            f"to the language model's {hidden}"
        )
    _check_no_others(weights, shapes, projector_type)
    return {
        new_names[name]: weight for name, weight in select_weights(weights, shapes, folder).items()
    }


def _check_no_others(weights: Weights, shapes: dict[str, Shape], projector_type: str) -> None:
    for name in weights:
        if name.startswith(_RELEASED) and name not in shapes:
            raise ConversionError(
                f"{weights[name].origin}: a projector of type {projector_type!r} has no {name}"
            )
