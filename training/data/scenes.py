"""Scenes: the content of an image as symbols and geometry, before it is drawn."""

from dataclasses import dataclass
from typing import Final

RGB = tuple[int, int, int]

SHAPES: Final = ("circle", "square", "triangle", "star", "cross")
DIGITS: Final = tuple("0123456789")
WORDS: Final = ("box", "cat", "dog", "jet", "key", "map", "pig", "sun")
# The nouns of things: shapes and printed text.
NOUNS: Final = (*SHAPES, *(f"number {d}" for d in DIGITS), *(f"word {word}" for word in WORDS))

COLORS: Final = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black")
SIZES: Final = ("small", "medium", "large")
BACKGROUND_COLORS: Final = (
    "gray",
    "white",
    "black",
    "light blue",
    "light green",
    "light yellow",
    "pink",
)
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
    """One shape or printed text, with its place and geometry.

    `place` names the third of the image, in both directions, that holds the centre. `x`, `y` and
    `radius` are pixels, `rotation` is degrees. `waist` is a star's inner radius or half the width
    of a cross's arm, as a share of the radius. `font` is the index of a typeface.
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
    def name(self) -> str:
        """Colour and noun."""
        return f"{self.color} {self.noun}"

    @property
    def is_shape(self) -> bool:
        return self.noun in SHAPES

    @property
    def printed_text(self) -> str:
        """The text as it is printed."""
        text = self.noun.split(" ")[1]
        return text.upper() if self.capital else text


@dataclass(frozen=True, slots=True)
class Background:
    """A background of one named colour: plain, or a pattern of two tints of that colour.

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
    """One to five things in reading order, no two in one place, and the drawing options.

    `smooth` turns antialiasing on. `noise` is a standard deviation in 8-bit steps, `jpeg` a
    quality or None, `seed` the seed of the noise. Evaluation runs identify a scene by its `repr`.
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
        """All things except printed text."""
        return tuple(thing for thing in self.things if thing.is_shape)

    def find(self, color: str | None = None, noun: str | None = None) -> tuple[Thing, ...]:
        """The things of this colour and this noun; None matches all."""
        return tuple(
            thing
            for thing in self.things
            if color in (None, thing.color) and noun in (None, thing.noun)
        )

    def thing_at(self, place: str) -> Thing | None:
        return next((thing for thing in self.things if thing.place == place), None)
