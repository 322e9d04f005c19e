"""Samples scenes: sizes, backgrounds, and things that neither overlap nor blend in."""

import random
from collections.abc import Sequence
from typing import Final

from training.data.color_ranges import color_distance, sample_background_color, sample_color
from training.data.scenes import (
    BACKGROUND_COLORS,
    COLORS,
    DIGITS,
    PLACES,
    RGB,
    SHAPES,
    WORDS,
    Background,
    Scene,
    Thing,
)

# Widths as shares of a third of the shorter side. Gaps between the sizes keep their names
# unambiguous.
_SIZE_RANGES: Final = {"small": (0.36, 0.50), "medium": (0.56, 0.70), "large": (0.76, 0.97)}
# Shapes narrower than this many of the model's 96 pixels are indistinguishable.
_MIN_SHAPE_WIDTH: Final = 9.0
# Legible text needs a third of the image of at least this many of those 96 pixels.
_MIN_TEXT_CELL: Final = 26.0
# The least distance of a thing's colour from the background's, in 8-bit steps.
_MIN_COLOR_DISTANCE: Final = 80.0
_BACKGROUND_WEIGHTS: Final = (9, 3, 2, 1.5, 1.5, 1.5, 1.5)


def sample_scenes(seed: int, count: int, max_side: int = 512) -> Sequence[Scene]:
    """Sample `count` scenes that depend on the arguments alone."""
    rng = random.Random(seed)
    return [sample_scene(rng, max_side=max_side) for _ in range(count)]


def sample_scene(rng: random.Random, min_side: int = 64, max_side: int = 512) -> Scene:
    """Sample a scene whose longer side has `min_side` to `max_side` pixels."""
    width, height = _sample_size(rng, min_side, max_side)
    background = _sample_background(rng, min(width, height))
    places = sorted(rng.sample(range(9), rng.choice((1, 2, 2, 3, 3, 3, 4, 4, 5))))
    sizes = _list_recognisable_sizes(width, height)
    if rng.random() < 0.25:
        sizes = (rng.choice(sizes),)
    nouns = [_sample_noun(rng, width, height) for _ in places]
    has_border = rng.random() < 0.12
    things = tuple(
        _sample_thing(
            rng, noun, PLACES[place], (width, height), rng.choice(sizes), background, has_border
        )
        for noun, place in zip(nouns, places, strict=True)
    )
    return Scene(
        width=width,
        height=height,
        ground=background,
        things=things,
        smooth=rng.random() < 0.65,
        noise=rng.uniform(1, 8) if rng.random() < 0.2 else 0.0,
        jpeg=rng.randint(55, 95) if rng.random() < 0.25 else None,
        seed=rng.getrandbits(32),
    )


def _sample_size(rng: random.Random, min_side: int, max_side: int) -> tuple[int, int]:
    long_side = round(min_side * (max_side / min_side) ** rng.random())
    short_side = max(round(long_side / rng.uniform(1, 2)), min(min_side, long_side) // 2)
    if rng.random() < 0.4:
        return long_side, long_side
    if rng.random() < 0.5:
        return long_side, short_side
    return short_side, long_side


def _sample_background(rng: random.Random, side: int) -> Background:
    (name,) = rng.choices(BACKGROUND_COLORS, _BACKGROUND_WEIGHTS)
    rgb = sample_background_color(rng, name)
    pattern = rng.choice(("plain",) * 6 + ("gradient",) * 2 + ("stripes", "checks"))
    shift = rng.choice((-1, 1)) * rng.uniform(5, 22 if pattern == "gradient" else 11)
    return Background(
        name=name,
        rgb=rgb,
        pattern=pattern,
        other=_shift_channels(rgb, shift),
        period=side * rng.uniform(0.06, 0.3),
        angle=rng.choice((0.0, 90.0, rng.uniform(0, 180))),
    )


def _shift_channels(rgb: RGB, shift: float) -> RGB:
    red, green, blue = (min(max(round(channel + shift), 0), 255) for channel in rgb)
    return red, green, blue


def _list_recognisable_sizes(width: int, height: int) -> tuple[str, ...]:
    """The sizes whose smallest shape is still wide enough to recognise."""
    cell = 96 / max(width, height) * min(width, height) / 3
    return tuple(size for size, (low, _) in _SIZE_RANGES.items() if low * cell >= _MIN_SHAPE_WIDTH)


def _sample_noun(rng: random.Random, width: int, height: int) -> str:
    is_legible = (
        32 * min(width, height) / max(width, height) >= _MIN_TEXT_CELL and min(width, height) >= 80
    )
    draw = rng.random() if is_legible else 1.0
    if draw < 0.1:
        return f"number {rng.choice(DIGITS)}"
    if draw < 0.17:
        return f"word {rng.choice(WORDS)}"
    return rng.choice(SHAPES)


def _sample_thing(
    rng: random.Random,
    noun: str,
    place: str,
    extent: tuple[int, int],
    size: str,
    background: Background,
    has_border: bool,
) -> Thing:
    """Sample a thing in its third of an image of `extent` (width, height) pixels."""
    is_text = noun not in SHAPES
    size = "large" if is_text else size
    (width, height), (low, high) = extent, _SIZE_RANGES[size]
    radius = rng.uniform(low, high) * min(width, height) / 6
    row, column = divmod(PLACES.index(place), 3)
    color, rgb = _sample_visible_color(rng, background)
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
        border=_sample_border(rng, color) if has_border and not is_text else None,
        font=rng.randrange(1000),
        capital=rng.random() < 0.3,
    )


def _sample_visible_color(rng: random.Random, background: Background) -> tuple[str, RGB]:
    """Sample a colour and a tint of it that stands out from the background."""
    while True:
        color = rng.choice(COLORS)
        rgb = sample_color(rng, color)
        distances = [color_distance(rgb, tint) for tint in (background.rgb, background.other)]
        if min(distances) >= _MIN_COLOR_DISTANCE:
            return color, rgb


def _sample_offset(rng: random.Random, cell: float, radius: float) -> float:
    """Shift a thing within its third. It may cross the edge a little, its centre never."""
    margin = max(cell / 2 - radius, 0) + 0.04 * cell
    return min(margin, 0.42 * cell) * rng.uniform(-1, 1)


def _sample_rotation(rng: random.Random, noun: str) -> float:
    if noun == "star":
        return rng.choice((0.0, rng.uniform(-12, 12), rng.uniform(-36, 36)))
    if noun not in SHAPES:
        return rng.choice((0.0, rng.uniform(-5, 5)))
    return rng.choice((0.0, 0.0, rng.uniform(-14, 14)))


def _sample_border(rng: random.Random, color: str) -> RGB:
    is_dark = color == "white" or (color != "black" and rng.random() < 0.6)
    return sample_color(rng, "black" if is_dark else "white")
