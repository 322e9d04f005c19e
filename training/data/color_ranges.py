"""Named colours as ranges of tints, and the distance between two tints."""

import random
from typing import Final

from training.data.scenes import RGB

# Hue in degrees, saturation and value in percent: (low, high) of each.
_THING_RANGES: Final = {
    "red": ((-9, 8), (70, 100), (65, 100)),
    "green": ((95, 150), (50, 100), (42, 95)),
    "blue": ((206, 245), (60, 100), (50, 100)),
    "yellow": ((49, 61), (60, 100), (82, 100)),
    "purple": ((268, 305), (45, 100), (42, 90)),
    "orange": ((20, 37), (72, 100), (84, 100)),
    "white": ((0, 359), (0, 5), (93, 100)),
    "black": ((0, 359), (0, 30), (0, 16)),
}
_BACKGROUND_RANGES: Final = {
    "gray": ((0, 359), (0, 7), (28, 84)),
    "white": ((0, 359), (0, 2), (95, 100)),
    "black": ((0, 359), (0, 20), (0, 9)),
    "light blue": ((198, 228), (18, 38), (84, 100)),
    "light green": ((92, 140), (18, 38), (80, 98)),
    "light yellow": ((48, 60), (18, 36), (92, 100)),
    "pink": ((325, 352), (18, 36), (88, 100)),
}

Range = tuple[int, int]


def sample_color(rng: random.Random, color: str) -> RGB:
    """Sample a tint of a thing's colour."""
    return _sample_hsv(rng, _THING_RANGES[color])


def sample_background_color(rng: random.Random, name: str) -> RGB:
    """Sample a tint of a background's colour."""
    return _sample_hsv(rng, _BACKGROUND_RANGES[name])


def color_distance(one: RGB, other: RGB) -> float:
    """Euclidean distance in RGB, in 8-bit steps."""
    return float(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5)


def _sample_hsv(rng: random.Random, ranges: tuple[Range, Range, Range]) -> RGB:
    hue, saturation, value = (rng.uniform(low, high) for low, high in ranges)
    return _hsv_to_rgb((hue % 360) / 60, saturation / 100, value / 100)


def _hsv_to_rgb(sextant: float, saturation: float, value: float) -> RGB:
    def channel(offset: int) -> int:
        ramp = (offset + sextant) % 6
        return round(255 * value * (1 - saturation * max(0.0, min(ramp, 4 - ramp, 1.0))))

    return channel(5), channel(3), channel(1)
