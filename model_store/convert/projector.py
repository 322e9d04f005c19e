"""LLaVA's projector: which kind it is, and its weights under transformers' names."""

import re
from pathlib import Path

from model_store.convert.errors import ConversionError
from model_store.convert.json_file import Json
from model_store.convert.shapes import Shape, linear, pick
from model_store.convert.weights import Weights

_RELEASED = "model.mm_projector"
_CONVERTED = "multi_modal_projector"


def projector_type(config: Json) -> str:
    """Return `mm_projector_type`; a config without it, as LLaVA v1's, means `linear`."""
    return str(config.get("mm_projector_type") or "linear")


def projector_depth(kind: str) -> int:
    """Return how many linear layers a kind has, with GELU between them.

    Raises `ConversionError` for what `build_vision_projector` of the released code does not know.
    """
    if kind == "identity":
        return 0
    if kind == "linear":
        return 1
    if match := re.fullmatch(r"mlp(\d+)x_gelu", kind):
        return int(match[1])
    raise ConversionError(
        f"mm_projector_type {kind!r} is not supported; what is: linear, mlpNx_gelu, identity"
    )


def projector(weights: Weights, config: Json, vision_hidden: int, folder: Path) -> Weights:
    """Return the projector's weights as `multi_modal_projector.linear_N`.

    Raises `ConversionError`.
    """
    wanted: dict[str, Shape] = {}
    new_names: dict[str, str] = {}
    kind = projector_type(config)
    for layer in range(projector_depth(kind)):
        # In an MLP every other module is a GELU, which holds no weights.
        old = _RELEASED if kind == "linear" else f"{_RELEASED}.{2 * layer}"
        shapes = linear(
            old, vision_hidden if layer == 0 else config["hidden_size"], config["hidden_size"]
        )
        wanted |= shapes
        new_names |= {
            name: name.replace(old, f"{_CONVERTED}.linear_{layer + 1}") for name in shapes
        }
    if kind == "identity" and vision_hidden != config["hidden_size"]:
        raise ConversionError(
            f"{folder}: a projector of type 'identity' cannot map the tower's {vision_hidden} "
            f"to the language model's {config['hidden_size']}"
        )
    _check_no_more(weights, wanted, kind)
    return {new_names[name]: weight for name, weight in pick(weights, wanted, folder).items()}


def _check_no_more(weights: Weights, wanted: dict[str, Shape], kind: str) -> None:
    for name in weights:
        if name.startswith(_RELEASED) and name not in wanted:
            raise ConversionError(
                f"{weights[name].origin}: a projector of type {kind!r} has no {name}"
            )
