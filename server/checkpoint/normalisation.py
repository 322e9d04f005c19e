"""How pixels are normalised, from the settings of a checkpoint's image processor."""

from collections.abc import Mapping
from typing import Any, Final

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD, Channels

RESCALE_FACTOR: Final = 1 / 255
# What SigLIP's processor assumes; LLaVA-OneVision's own assumes CLIP's.
HALF: Final[Channels] = (0.5, 0.5, 0.5)


def read_normalisation(
    config: Mapping[str, Any], processor: Mapping[str, Any]
) -> tuple[Channels, Channels]:
    """Return mean and standard deviation; what the processor's class assumes if they are missing.

    Raises `ValueError` for a processor that does not normalise values from 0 to 1.
    """
    for name in ("do_rescale", "do_normalize"):
        if processor.get(name) is False:
            raise ValueError(f"{name} false of the image processor is not supported")
    factor = processor.get("rescale_factor") or RESCALE_FACTOR
    if abs(factor - RESCALE_FACTOR) > 1e-6:
        raise ValueError(f"rescale_factor {factor} of the image processor is not 1/255")
    is_siglip = config["vision_config"]["model_type"] == "siglip_vision_model"
    is_half = is_siglip and config["model_type"] != "llava_onevision"
    mean, std = (HALF, HALF) if is_half else (CLIP_MEAN, CLIP_STD)
    return (
        read_channels(processor, "image_mean", mean),
        read_channels(processor, "image_std", std),
    )


def read_channels(processor: Mapping[str, Any], name: str, default: Channels) -> Channels:
    """Return a processor's three values for red, green and blue; one number stands for all.

    Raises `ValueError` for anything else.
    """
    match processor.get(name):
        case None:
            return default
        case int(value) | float(value):
            return (value, value, value)
        case [int(red) | float(red), int(green) | float(green), int(blue) | float(blue)]:
            return (red, green, blue)
        case other:
            raise ValueError(f"{name} {other!r} is not three numbers")
