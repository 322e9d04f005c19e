"""What transformers' image and video processors read from their files, as far as it is followed."""

import math
from collections.abc import Mapping
from typing import Any, Final

from llava_spec.image_settings import Channels

BICUBIC: Final = 3  # Pillow's number
# The only values that are implemented, and transformers' defaults.
VALUES: Final[Mapping[str, float]] = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "resample": BICUBIC,
    "rescale_factor": 1 / 255,
}


def check_processor(processor: Mapping[str, Any], *, tiles: bool = False) -> None:
    """Raise `ValueError` where a processor would make other pixels than this server.

    With `tiles`, transformers' processors resize whatever `do_resize` says.
    """
    for key, expected in VALUES.items():
        value = processor.get(key)
        if value is None or (tiles and key == "do_resize"):
            continue
        if not isinstance(value, int | float) or not math.isclose(value, expected, rel_tol=1e-6):
            raise ValueError(
                f"{key} {value!r} of the image or video processor is not supported; supported:"
                f" {expected!r}"
            )


def read_channels(processor: Mapping[str, Any], key: str, default: Channels) -> Channels:
    """Return a value for each channel, such as `image_mean`; one number is that of all three.

    Raises `ValueError` where it is neither.
    """
    match processor.get(key):
        case None:
            return default
        case int() | float() as channel:
            return (channel, channel, channel)
        case [int() | float() as red, int() | float() as green, int() | float() as blue]:
            return (red, green, blue)
        case other:
            raise ValueError(f"{key} {other!r} is neither a number nor a list of three")


def read_deviation(processor: Mapping[str, Any], default: Channels) -> Channels:
    """Return `image_std`, whose channels pixels are divided by. Raises `ValueError`."""
    deviation = read_channels(processor, "image_std", default)
    if min(deviation) <= 0:
        raise ValueError(f"image_std {deviation} is not positive")
    return deviation
