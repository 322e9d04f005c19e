"""A checkpoint's image preprocessing: mean, deviation and grids, from its configs."""

from collections.abc import Mapping
from typing import Any, Final

from llava_spec.anyres import Size
from llava_spec.image_settings import CLIP_MEAN, CLIP_STD, Channels
from server.checkpoint.aspect_ratio import read_aspect_ratio
from server.checkpoint.processor import check_processor, read_channels, read_deviation
from server.checkpoint.s2 import read_scales
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
    default_mean, default_std = NORMALISATIONS[_find_processor_kind(config, processor)]
    size = max((config["vision_config"]["image_size"], *read_scales(config)))
    aspect_ratio, max_views = read_aspect_ratio(config, processor)
    check_processor(processor, tiles=aspect_ratio == "anyres")
    return ImageConfig(
        size=size,
        aspect_ratio=aspect_ratio,
        mean=read_channels(processor, "image_mean", default_mean),
        std=read_deviation(processor, default_std),
        grid_pinpoints=_read_grid_pinpoints(config, size) if aspect_ratio == "anyres" else (),
        max_views=max_views,
    )


def _find_processor_kind(config: Mapping[str, Any], processor: Mapping[str, Any]) -> TowerKind:
    """Return whose mean and deviation a processor assumes: LLaVA's own classes all take CLIP's.

    A `llava` whose processor has no name gets its tower's.
    """
    name = processor.get("image_processor_type") or processor.get("feature_extractor_type")
    if name is not None:
        return "siglip" if str(name).startswith("Siglip") else "clip"
    if config["model_type"] != "llava":
        return "clip"
    return TOWERS.get(config["vision_config"]["model_type"], "clip")


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
