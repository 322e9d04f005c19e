"""Drawing scenes at random: sizes, grounds, and things that keep apart and stand out."""

import random
from collections.abc import Sequence
from typing import Final

from training.data.color_ranges import distance, sample_ground, sample_rgb
from training.data.scenes import (
    COLORS,
    DIGITS,
    GROUNDS,
    PLACES,
    RGB,
    SHAPES,
    WORDS,
    Background,
    Scene,
    Thing,
)

# Of a third of the picture's shorter side: gaps between the sizes keep their names sure.
_SHARES: Final = {"small": (0.36, 0.50), "medium": (0.56, 0.70), "large": (0.76, 0.97)}
# A shape narrower than this many pixels of the 96 the model sees cannot be told from another.
_NARROWEST: Final = 9.0
# Letters need a third of the picture of at least this many of those 96 pixels.
_LEGIBLE: Final = 26.0
# A tint closer to the ground than this many 8-bit steps does not stand out.
_CONTRAST: Final = 80.0
_GROUND_WEIGHTS: Final = (9, 3, 2, 1.5, 1.5, 1.5, 1.5)


def sample_scenes(seed: int, count: int, longest: int = 512) -> Sequence[Scene]:
    """`count` scenes that depend on `seed` alone."""
    rng = random.Random(seed)
    return [sample_scene(rng, longest=longest) for _ in range(count)]


def sample_scene(rng: random.Random, shortest: int = 64, longest: int = 512) -> Scene:
    """Draw a scene at random whose longer side has `shortest` to `longest` pixels."""
    width, height = _sample_size(rng, shortest, longest)
    ground = _sample_background(rng, min(width, height))
    places = sorted(rng.sample(range(9), rng.choice((1, 2, 2, 3, 3, 3, 4, 4, 5))))
    sizes = _sizes(width, height)
    if rng.random() < 0.25:
        sizes = (rng.choice(sizes),)
    nouns = [_sample_noun(rng, width, height) for _ in places]
    bordered = rng.random() < 0.12
    things = tuple(
        _place(rng, noun, PLACES[place], (width, height), rng.choice(sizes), ground, bordered)
        for noun, place in zip(nouns, places, strict=True)
    )
    return Scene(
        width=width,
        height=height,
        ground=ground,
        things=things,
        smooth=rng.random() < 0.65,
        noise=rng.uniform(1, 8) if rng.random() < 0.2 else 0.0,
        jpeg=rng.randint(55, 95) if rng.random() < 0.25 else None,
        seed=rng.getrandbits(32),
    )


def _sample_size(rng: random.Random, shortest: int, longest: int) -> tuple[int, int]:
    long_side = round(shortest * (longest / shortest) ** rng.random())
    short_side = max(round(long_side / rng.uniform(1, 2)), min(shortest, long_side) // 2)
    if rng.random() < 0.4:
        return long_side, long_side
    if rng.random() < 0.5:
        return long_side, short_side
    return short_side, long_side


def _sample_background(rng: random.Random, side: int) -> Background:
    (name,) = rng.choices(GROUNDS, _GROUND_WEIGHTS)
    rgb = sample_ground(rng, name)
    pattern = rng.choice(("plain",) * 6 + ("gradient",) * 2 + ("stripes", "checks"))
    shift = rng.choice((-1, 1)) * rng.uniform(5, 22 if pattern == "gradient" else 11)
    return Background(
        name=name,
        rgb=rgb,
        pattern=pattern,
        other=_shifted(rgb, shift),
        period=side * rng.uniform(0.06, 0.3),
        angle=rng.choice((0.0, 90.0, rng.uniform(0, 180))),
    )


def _shifted(rgb: RGB, shift: float) -> RGB:
    red, green, blue = (min(max(round(channel + shift), 0), 255) for channel in rgb)
    return red, green, blue


def _sizes(width: int, height: int) -> tuple[str, ...]:
    """The sizes whose smallest shape can still be told from another."""
    seen = 96 / max(width, height) * min(width, height) / 3
    return tuple(size for size, (low, _) in _SHARES.items() if low * seen >= _NARROWEST)


def _sample_noun(rng: random.Random, width: int, height: int) -> str:
    legible = 32 * min(width, height) / max(width, height) >= _LEGIBLE and min(width, height) >= 80
    draw = rng.random() if legible else 1.0
    if draw < 0.1:
        return f"number {rng.choice(DIGITS)}"
    if draw < 0.17:
        return f"word {rng.choice(WORDS)}"
    return rng.choice(SHAPES)


def _place(
    rng: random.Random,
    noun: str,
    place: str,
    extent: tuple[int, int],
    size: str,
    ground: Background,
    bordered: bool,
) -> Thing:
    """Put a thing at random into its third of a picture of this `extent`."""
    printed = noun not in SHAPES
    size = "large" if printed else size
    (width, height), (low, high) = extent, _SHARES[size]
    radius = rng.uniform(low, high) * min(width, height) / 6
    row, column = divmod(PLACES.index(place), 3)
    color, rgb = _sample_color(rng, ground)
    return Thing(
        noun=noun,
        color=color,
        size=size,
        place=place,
        x=(column + 0.5) * width / 3 + _sample_offset(rng, width / 3, radius),
        y=(row + 0.5) * height / 3 + _sample_offset(rng, height / 3, radius),
        radius=radius,
        rotation=_sample_rotation(rng, noun),
        waist=rng.uniform(0.34, 0.54) if noun == "star" else rng.uniform(0.2, 0.4),
        rgb=rgb,
        border=_sample_border(rng, color) if bordered and not printed else None,
        font=rng.randrange(1000),
        capital=rng.random() < 0.3,
    )


def _sample_color(rng: random.Random, ground: Background) -> tuple[str, RGB]:
    while True:
        color = rng.choice(COLORS)
        rgb = sample_rgb(rng, color)
        if min(distance(rgb, ground.rgb), distance(rgb, ground.other)) >= _CONTRAST:
            return color, rgb


def _sample_offset(rng: random.Random, cell: float, radius: float) -> float:
    """Shift a thing within its third: rarely over the edge, its centre never."""
    room = max(cell / 2 - radius, 0) + 0.04 * cell
    return min(room, 0.42 * cell) * rng.uniform(-1, 1)


def _sample_rotation(rng: random.Random, noun: str) -> float:
    if noun == "star":
        return rng.choice((0.0, rng.uniform(-12, 12), rng.uniform(-36, 36)))
    if noun not in SHAPES:
        return rng.choice((0.0, rng.uniform(-5, 5)))
    return rng.choice((0.0, 0.0, rng.uniform(-14, 14)))


def _sample_border(rng: random.Random, color: str) -> RGB:
    dark = color == "white" or (color != "black" and rng.random() < 0.6)
    return sample_rgb(rng, "black" if dark else "white")
