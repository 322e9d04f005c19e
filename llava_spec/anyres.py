"""The arithmetic of LLaVA-NeXT's `anyres`: an image's grid, and its position in the grid.

Follows `llava/mm_utils.py` and `llava/model/llava_arch.py` of the released code to the integer.
Sizes are (width, height), as in Pillow; configurations in transformers' layout have them reversed.
"""

import math
from collections.abc import Sequence
from typing import Final

Size = tuple[int, int]

# LLaVA-OneVision's grids of features stay as they are up to this ratio of their sides.
MAX_GRID_RATIO: Final = 1.1


def select_best_resolution(image_size: Size, grid_pinpoints: Sequence[Size]) -> Size:
    """Return the pinpoint that keeps most of an image's pixels; among these, the smallest.

    The first of equal ones wins, as in the released function of this name.
    """

    def score(resolution: Size) -> tuple[int, int]:
        width, height = image_size
        scale = min(resolution[0] / width, resolution[1] / height)
        effective = min(int(width * scale) * int(height * scale), width * height)
        return effective, effective - math.prod(resolution)

    return max(grid_pinpoints, key=score)


def fit_within(image_size: Size, resolution: Size) -> Size:
    """Return the size of an image scaled into `resolution` with its ratio kept.

    The rounding is that of the released `resize_and_pad_image`.
    """
    (width, height), (target_width, target_height) = image_size, resolution
    scale_w, scale_h = target_width / width, target_height / height
    if scale_w < scale_h:
        return target_width, min(math.ceil(height * scale_w), target_height)
    return min(math.ceil(width * scale_h), target_width), target_height


def unpad_margins(image_size: Size, grid: Size, digits: int | None = None) -> Size:
    """Return the columns and rows of padding that `grid` has on each of two opposite sides.

    `grid` counts patches. The rounding is that of the released `unpad_image`; with `digits`, the
    image's side is first rounded to that many, as in transformers. A very elongated image may keep
    no row at all.
    """
    (width, height), (grid_width, grid_height) = image_size, grid
    if width / height > grid_width / grid_height:
        return 0, (grid_height - _scale(height, grid_width / width, digits)) // 2
    return (grid_width - _scale(width, grid_height / height, digits)) // 2, 0


def limit_grid(grid: Size, max_patches: int) -> Size:
    """Return the size that a grid of features is scaled down to, or the grid itself.

    Follows LLaVA-OneVision's `anyres_max_N`, where `max_patches` are those of N views.
    """
    width, height = grid
    ratio = math.sqrt(height * width / max_patches)
    if ratio <= MAX_GRID_RATIO:
        return grid
    return max(1, int(width // ratio)), max(1, int(height // ratio))


def _scale(length: int, factor: float, digits: int | None) -> int:
    return int(length * factor if digits is None else round(length * factor, digits))
