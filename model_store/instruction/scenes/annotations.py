"""A scene's annotation in the form that `captions` reads: captions and bounding boxes."""

from typing import Any

from training.data.captions import write_captions
from training.data.drawing import compute_outline
from training.data.scenes import Scene, Thing


def build_annotation(scene: Scene, scene_id: str, image: str) -> dict[str, Any]:
    """Build `id`, `image`, `captions`, and `instances` with `category` and `bbox`.

    A box is the left, top, right and bottom edge, as shares of the image's width and height.
    """
    instances = [
        {"category": thing.name, "bbox": _compute_bbox(thing, scene)} for thing in scene.things
    ]
    return {
        "id": scene_id,
        "image": image,
        "captions": write_captions(scene),
        "instances": instances,
    }


def _compute_bbox(thing: Thing, scene: Scene) -> list[float]:
    xs, ys = zip(*compute_outline(thing), strict=True)
    return [
        _to_share(min(xs), scene.width),
        _to_share(min(ys), scene.height),
        _to_share(max(xs), scene.width),
        _to_share(max(ys), scene.height),
    ]


def _to_share(position: float, length: int) -> float:
    return round(min(max(position / length, 0), 1), 4)
