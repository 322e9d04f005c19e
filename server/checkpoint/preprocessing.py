"""A checkpoint's image preprocessing: mean, deviation and grids, from its configs."""

from collections.abc import Mapping
from typing import Any, Final

from llava_spec.anyres import Size
from llava_spec.image_settings import CLIP_MEAN, CLIP_STD, Channels
from server.checkpoint.aspect_ratio import read_aspect_ratio
from server.checkpoint.vision import TOWERS, ImageConfig, TowerKind

# Mean and standard deviation, unless the processor's file says others.
NORMALISATIONS: Final[Mapping[TowerKind, tuple[Channels, Channels]]] = {
    "clip": (CLIP_MEAN, CLIP_STD),
    "siglip": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


def read_image_config(config: Mapping[str, Any], processor: Mapping[str, Any]) -> ImageConfig:
    """Read the image preprocessing from `config.json` and `preprocessor_config.json`.

    Raises `ValueError` where a value is not supported, `KeyError` where one is missing.
    """
    tower = TOWERS.get(config["vision_config"]["model_type"], "clip")
    default_mean, default_std = NORMALISATIONS[tower]
    mean, std = processor.get("image_mean", default_mean), processor.get("image_std", default_std)
    size = config["vision_config"]["image_size"]
    aspect_ratio, max_views = read_aspect_ratio(config, processor)
    return ImageConfig(
        size=size,
        aspect_ratio=aspect_ratio,
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        grid_pinpoints=_read_grid_pinpoints(config, size) if aspect_ratio == "anyres" else (),
        max_views=max_views,
    )


def _read_grid_pinpoints(config: Mapping[str, Any], size: int) -> tuple[Size, ...]:
    """Return transformers' [[height, width], …] as (width, height), multiples of the tile size."""
    pinpoints = config["image_grid_pinpoints"]
    if not isinstance(pinpoints, list) or not pinpoints:
        raise ValueError(f"image_grid_pinpoints {pinpoints!r} is not a list of [height, width]")
    return tuple(_parse_grid_pinpoint(pinpoint, size) for pinpoint in pinpoints)


def _parse_grid_pinpoint(pinpoint: Any, size: int) -> Size:
    match pinpoint:
        case [int(height), int(width)] if min(height, width) > 0:
            if height % size or width % size:
                raise ValueError(f"grid pinpoint {pinpoint} is not made of tiles of {size} pixels")
            return width, height
    raise ValueError(f"grid pinpoint {pinpoint!r} is not [height, width]")
