"""Scenes: what a picture shows, as symbols and geometry, before it is drawn."""

from dataclasses import dataclass
from typing import Final

RGB = tuple[int, int, int]

SHAPES: Final = ("circle", "square", "triangle", "star", "cross")
DIGITS: Final = tuple("0123456789")
WORDS: Final = ("box", "cat", "dog", "jet", "key", "map", "pig", "sun")
# What a thing can be: a shape, or something printed.
NOUNS: Final = (*SHAPES, *(f"number {d}" for d in DIGITS), *(f"word {word}" for word in WORDS))

COLORS: Final = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black")
SIZES: Final = ("small", "medium", "large")
GROUNDS: Final = ("gray", "white", "black", "light blue", "light green", "light yellow", "pink")
PLACES: Final = (
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


@dataclass(frozen=True, slots=True)
class Thing:
    """One shape or printed text, which third of the picture holds its centre, and its geometry.

    `x`, `y` and `radius` are pixels, `rotation` is degrees, `waist` is a star's inner radius or
    a cross's half arm width, as a share of the radius. `font` numbers the typefaces.
    """

    noun: str
    color: str
    size: str
    place: str
    x: float
    y: float
    radius: float
    rotation: float
    waist: float
    rgb: RGB
    border: RGB | None = None
    font: int = 0
    capital: bool = False

    @property
    def is_shape(self) -> bool:
        return self.noun in SHAPES

    @property
    def printed(self) -> str:
        """The text that a digit or word shows."""
        text = self.noun.split(" ")[1]
        return text.upper() if self.capital else text


@dataclass(frozen=True, slots=True)
class Background:
    """A ground of one named colour: plain, or between two tints of it.

    `pattern` is `plain`, `gradient`, `stripes` or `checks`; `period` is pixels, `angle` degrees.
    """

    name: str
    rgb: RGB
    pattern: str = "plain"
    other: RGB = (0, 0, 0)
    period: float = 1.0
    angle: float = 0.0


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture of one to five things in reading order, no two in one place, and how it is drawn.

    `noise` is the standard deviation in 8-bit steps, `jpeg` a quality, `seed` fixes the noise.
    """

    width: int
    height: int
    ground: Background
    things: tuple[Thing, ...]
    smooth: bool
    noise: float
    jpeg: int | None
    seed: int

    @property
    def shapes(self) -> tuple[Thing, ...]:
        """The things that are not printed text."""
        return tuple(thing for thing in self.things if thing.is_shape)

    def having(self, color: str | None = None, noun: str | None = None) -> tuple[Thing, ...]:
        return tuple(
            thing
            for thing in self.things
            if color in (None, thing.color) and noun in (None, thing.noun)
        )

    def at(self, place: str) -> Thing | None:
        return next((thing for thing in self.things if thing.place == place), None)
