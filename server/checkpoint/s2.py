"""Whether a tower sees an image at several scales (S2), and at which."""

from collections.abc import Mapping
from typing import Any

from llava_spec.s2 import read_s2_scales
from server.checkpoint.aspect_ratio import read_aspect_ratio


def read_scales(config: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the sizes of the image, the smallest first; none without `s2`.

    Raises `ValueError` where the released code has no such tower.
    """
    tower = config["vision_config"]
    scales = read_s2_scales(config, tower["image_size"])
    is_supported = (
        config["model_type"] == "llava"
        and tower["model_type"] == "clip_vision_model"
        and config["vision_feature_select_strategy"] in ("default", "patch")
        and read_aspect_ratio(config, {})[0] != "anyres"
    )
    if scales and not is_supported:
        raise ValueError(
            "s2 is supported for single views of a CLIP tower without its class token only"
        )
    return scales
