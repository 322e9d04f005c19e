"""The arithmetic of LLaVA-NeXT's `anyres`: an image's grid, and its position in the grid.

Follows `llava/mm_utils.py` and `llava/model/llava_arch.py` of the released code to the integer.
Sizes are (width, height), as in Pillow; configurations in transformers' layout have them reversed.
"""

import math
from collections.abc import Sequence

Size = tuple[int, int]


def select_best_resolution(image_size: Size, grid_pinpoints: Sequence[Size]) -> Size:
    """Return the pinpoint that keeps most of an image's pixels; among these, the smallest.

    The first of equals wins, as in the released function of this name.
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


def unpad_margins(image_size: Size, grid: Size) -> Size:
    """Return the columns and rows of padding that `grid` has on each of two opposite sides.

    `grid` counts patches. The rounding is that of the released `unpad_image`; a very elongated
    image may keep no row at all.
    """
    (width, height), (grid_width, grid_height) = image_size, grid
    if width / height > grid_width / grid_height:
        return 0, (grid_height - int(height * (grid_width / width))) // 2
    return (grid_width - int(width * (grid_height / height))) // 2, 0
