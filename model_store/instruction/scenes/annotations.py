"""A scene's symbols in the form that `captions` reads: captions and boxes."""

from typing import Any

from training.data.captions import captions_of
from training.data.drawing import outline
from training.data.scenes import Scene, Thing


def symbols_of(scene: Scene, scene_id: str, image: str) -> dict[str, Any]:
    """`id`, `image`, `captions`, and `instances` with `category` and `bbox`.

    A box is left, top, right and bottom edge, as shares of the picture's width and height.
    """
    instances = [
        {"category": f"{thing.color} {thing.noun}", "bbox": _box(thing, scene)}
        for thing in scene.things
    ]
    return {
        "id": scene_id,
        "image": image,
        "captions": captions_of(scene),
        "instances": instances,
    }


def _box(thing: Thing, scene: Scene) -> list[float]:
    across, down = zip(*outline(thing), strict=True)
    return [
        _share(min(across), scene.width),
        _share(min(down), scene.height),
        _share(max(across), scene.width),
        _share(max(down), scene.height),
    ]


def _share(position: float, length: int) -> float:
    return round(min(max(position / length, 0), 1), 4)
