"""The tower's hidden states that the projector gets: one layer's, or several concatenated."""

from collections.abc import Mapping
from typing import Any, Final

# transformers' default, which ViP-LLaVA's configurations may leave out.
VIP_LLAVA_LAYERS: Final = (-2, -5, -8, -11, 6)


def read_feature_layers(config: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the indexes of the hidden states to concatenate, in order; 0 is the embeddings.

    They are `vision_feature_layers` of a `vipllava`, else `vision_feature_layer`: an index or a
    list. Raises `ValueError` where one is not a layer of the tower.
    """
    if config["model_type"] == "vipllava":
        key, layers = "vision_feature_layers", config.get("vision_feature_layers", VIP_LLAVA_LAYERS)
    else:
        key, layers = "vision_feature_layer", config["vision_feature_layer"]
    num_layers = config["vision_config"]["num_hidden_layers"]
    listed = layers if isinstance(layers, list | tuple) else [layers]
    if not listed or not all(_is_layer(layer, num_layers) for layer in listed):
        raise ValueError(
            f"{key} {layers!r} is not a layer of the tower, which has {num_layers}, or a list of"
            " such"
        )
    return tuple(layer % (num_layers + 1) for layer in listed)


def _is_layer(layer: object, num_layers: int) -> bool:
    return type(layer) is int and -num_layers - 1 <= layer <= num_layers
