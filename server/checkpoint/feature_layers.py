"""The tower's hidden states that the projector gets: one layer's, or several concatenated."""

from collections.abc import Mapping
from typing import Any

from server.checkpoint.whole_number import read_whole_number


def read_feature_layers(config: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the indexes of the hidden states to concatenate, in order; 0 is the embeddings.

    They are `vision_feature_layers` of a `vipllava`, else `vision_feature_layer`: an index or a
    list. Raises `ValueError` where one is not a layer of the tower.
    """
    is_vip = config["model_type"] == "vipllava"
    key = "vision_feature_layers" if is_vip else "vision_feature_layer"
    layers = config[key]
    num_layers = read_whole_number(config["vision_config"], "num_hidden_layers")
    listed = layers if isinstance(layers, list | tuple) else [layers]
    if not listed or not all(_is_layer(layer, num_layers) for layer in listed):
        raise ValueError(
            f"{key} {layers!r} is not a layer of the tower, which has {num_layers}, or a list of"
            " such"
        )
    return tuple(layer % (num_layers + 1) for layer in listed)


def _is_layer(layer: object, num_layers: int) -> bool:
    return type(layer) is int and -num_layers - 1 <= layer <= num_layers
