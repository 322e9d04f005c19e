"""Which of an image's views the model gets."""

from dataclasses import replace
from enum import StrEnum

from server.checkpoint.vision import ImageConfig
from server.images.decode.decode import DecodeOptions


class ViewChoice(StrEnum):
    """All views that the checkpoint was trained with, or one of an anyres model's instead."""

    ALL = "all"
    BASE = "base"
    PADDED = "padded"


def choose_views(image: ImageConfig, *, num_images: int, low_detail: bool) -> ViewChoice:
    """Return what an image of a request with `num_images` becomes.

    LLaVA-OneVision saw several images as padded squares, each one view, and only images alone in
    tiles. `low_detail` selects the base view; it does not affect models without tiles.
    """
    if image.aspect_ratio != "anyres":
        return ViewChoice.ALL
    if image.max_views is not None and num_images > 1:
        return ViewChoice.PADDED
    return ViewChoice.BASE if low_detail else ViewChoice.ALL


def narrow_options(options: DecodeOptions, views: ViewChoice) -> DecodeOptions:
    """Return the options of a decode that makes only these views."""
    match views:
        case ViewChoice.ALL:
            return options
        case ViewChoice.BASE:
            return replace(options, grid_pinpoints=())
        case ViewChoice.PADDED:
            return replace(options, aspect_ratio="pad", grid_pinpoints=())
