"""Scenes: what a picture shows, as symbols and geometry, before it is drawn."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

RGB = tuple[int, int, int]

SHAPES = ("circle", "square", "triangle", "star", "cross")
COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black")
PLACES = (
    "top left",
    "top",
    "top right",
    "left",
    "center",
    "right",
    "bottom left",
    "bottom",
    "bottom right",
)

# Hue in degrees, saturation and value in percent: (low, high) of each.
_TINTS = {
    "red": ((-9, 8), (70, 100), (65, 100)),
    "green": ((95, 150), (50, 100), (42, 95)),
    "blue": ((206, 245), (60, 100), (50, 100)),
    "yellow": ((49, 61), (60, 100), (82, 100)),
    "purple": ((268, 305), (45, 100), (42, 90)),
    "orange": ((20, 37), (72, 100), (84, 100)),
    "white": ((0, 359), (0, 5), (93, 100)),
    "black": ((0, 359), (0, 30), (0, 16)),
}
# A shape narrower than this many pixels of the 96 the model sees cannot be told from another.
_NARROWEST = 6.5


@dataclass(frozen=True, slots=True)
class Thing:
    """One shape: what it is, which third of the picture holds its centre, and its geometry.

    `x`, `y` and `radius` are pixels, `rotation` is degrees, `waist` is a star's inner radius or
    a cross's half arm width, as a share of the radius.
    """

    shape: str
    color: str
    place: str
    x: float
    y: float
    radius: float
    rotation: float
    waist: float
    rgb: RGB
    border: RGB | None


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture of one to four things in reading order on a plain ground, and how it is drawn.

    `noise` is the standard deviation in 8-bit steps, `jpeg` a quality, `seed` fixes the noise.
    """

    width: int
    height: int
    ground: RGB
    things: tuple[Thing, ...]
    smooth: bool
    noise: float
    jpeg: int | None
    seed: int

    def having(self, color: str | None = None, shape: str | None = None) -> tuple[Thing, ...]:
        return tuple(
            thing
            for thing in self.things
            if color in (None, thing.color) and shape in (None, thing.shape)
        )

    def at(self, place: str) -> Thing | None:
        return next((thing for thing in self.things if thing.place == place), None)


def place_of(x: float, y: float, width: int, height: int) -> str:
    """Name the third of a `width` x `height` picture in which the point lies."""
    column = min(int(3 * x / width), 2)
    row = min(int(3 * y / height), 2)
    return PLACES[3 * row + column]


def sample_scene(rng: random.Random, shortest: int = 64, longest: int = 512) -> Scene:
    """Draw a scene at random whose longer side has `shortest` to `longest` pixels."""
    width, height = _sample_size(rng, shortest, longest)
    places = sorted(rng.sample(range(9), rng.choice((1, 2, 2, 3, 3, 4, 4))))
    common = rng.uniform(0.5, 0.9) if rng.random() < 0.3 else None
    bordered = rng.random() < 0.12
    things = tuple(_sample_thing(rng, place, width, height, common, bordered) for place in places)
    return Scene(
        width=width,
        height=height,
        ground=_sample_ground(rng),
        things=things,
        smooth=rng.random() < 0.65,
        noise=rng.uniform(1, 8) if rng.random() < 0.2 else 0.0,
        jpeg=rng.randint(55, 95) if rng.random() < 0.25 else None,
        seed=rng.getrandbits(32),
    )


def _sample_size(rng: random.Random, shortest: int, longest: int) -> tuple[int, int]:
    long_side = round(shortest * (longest / shortest) ** rng.random())
    short_side = max(round(long_side / rng.uniform(1, 2.1)), min(shortest, long_side) // 2)
    if rng.random() < 0.35:
        return long_side, long_side
    if rng.random() < 0.5:
        return long_side, short_side
    return short_side, long_side


def _sample_ground(rng: random.Random) -> RGB:
    level = rng.uniform(75, 212)
    spread = rng.choice((0, 6, 14))
    red, green, blue = (round(level + rng.uniform(-spread, spread)) for _ in range(3))
    return red, green, blue


def _sample_thing(
    rng: random.Random,
    place: int,
    width: int,
    height: int,
    common: float | None,
    bordered: bool,
) -> Thing:
    shape, color = rng.choice(SHAPES), rng.choice(COLORS)
    cell = min(width, height) / 3
    smallest = max(0.36, _NARROWEST * max(width, height) / 96 / cell)
    share = common if common and common > smallest else rng.uniform(smallest, 0.97)
    radius = share * cell / 2
    row, column = divmod(place, 3)
    return Thing(
        shape=shape,
        color=color,
        place=PLACES[place],
        x=(column + 0.5) * width / 3 + _sample_offset(rng, width / 3, radius),
        y=(row + 0.5) * height / 3 + _sample_offset(rng, height / 3, radius),
        radius=radius,
        rotation=_sample_rotation(rng, shape),
        waist=_sample_waist(rng, shape),
        rgb=sample_rgb(rng, color),
        border=_sample_border(rng, color) if bordered else None,
    )


def _sample_offset(rng: random.Random, cell: float, radius: float) -> float:
    """Shift a shape within its cell: rarely over the cell's edge, its centre never."""
    room = max(cell / 2 - radius, 0) + 0.04 * cell
    return min(room, 0.42 * cell) * rng.uniform(-1, 1)


def _sample_rotation(rng: random.Random, shape: str) -> float:
    if shape == "star":
        return rng.choice((0.0, rng.uniform(-12, 12), rng.uniform(-36, 36)))
    return rng.choice((0.0, 0.0, rng.uniform(-14, 14)))


def _sample_waist(rng: random.Random, shape: str) -> float:
    return rng.uniform(0.34, 0.54) if shape == "star" else rng.uniform(0.2, 0.4)


def _sample_border(rng: random.Random, color: str) -> RGB:
    dark = color == "white" or (color != "black" and rng.random() < 0.6)
    return sample_rgb(rng, "black" if dark else "white")


def sample_rgb(rng: random.Random, color: str) -> RGB:
    """Draw one tint of a named colour."""
    hue, saturation, value = (rng.uniform(low, high) for low, high in _TINTS[color])
    return _from_hsv((hue % 360) / 60, saturation / 100, value / 100)


def _from_hsv(sextant: float, saturation: float, value: float) -> RGB:
    def channel(offset: int) -> int:
        ramp = (offset + sextant) % 6
        return round(255 * value * (1 - saturation * max(0.0, min(ramp, 4 - ramp, 1.0))))

    return channel(5), channel(3), channel(1)


def sample_scenes(seed: int, count: int, longest: int = 512) -> Sequence[Scene]:
    """`count` scenes that depend on `seed` alone."""
    rng = random.Random(seed)
    return [sample_scene(rng, longest=longest) for _ in range(count)]
