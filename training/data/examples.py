"""The three example images that ship with the model."""

from pathlib import Path

from training.data.drawing import draw
from training.data.scenes import RGB, Background, Scene, Thing

_RED, _BLUE, _GREEN, _YELLOW = (214, 40, 40), (40, 80, 210), (40, 160, 70), (242, 214, 60)
_PURPLE, _ORANGE, _BLACK = (130, 50, 170), (245, 140, 30), (22, 22, 22)


def write_example_images(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, scene in EXAMPLES.items():
        draw(scene).save(folder / name, quality=92)


def _build_thing(
    noun: str, color: str, rgb: RGB, place: str, x: float, y: float, radius: float
) -> Thing:
    waist = 0.4 if noun == "star" else 0.3
    return Thing(noun, color, "large", place, x, y, radius, 0.0, waist, rgb)


def _build_scene(width: int, height: int, gray: int, *things: Thing) -> Scene:
    background = Background("gray", (gray,) * 3)
    return Scene(width, height, background, things, smooth=True, noise=0.0, jpeg=None, seed=0)


EXAMPLES = {
    "scene-1.png": _build_scene(
        336,
        336,
        170,
        _build_thing("circle", "red", _RED, "top left", 60, 58, 48),
        _build_thing("star", "blue", _BLUE, "center", 168, 172, 48),
    ),
    "scene-2.jpg": _build_scene(
        640,
        480,
        165,
        _build_thing("square", "green", _GREEN, "top", 322, 84, 70),
        _build_thing("cross", "yellow", _YELLOW, "left", 104, 244, 70),
        _build_thing("circle", "red", _RED, "right", 528, 250, 70),
    ),
    "scene-3.png": _build_scene(
        300,
        520,
        195,
        _build_thing("triangle", "orange", _ORANGE, "top right", 248, 86, 40),
        _build_thing("square", "black", _BLACK, "center", 152, 262, 40),
        _build_thing("star", "purple", _PURPLE, "bottom left", 54, 436, 44),
        _build_thing("circle", "green", _GREEN, "bottom right", 246, 430, 40),
    ),
}
