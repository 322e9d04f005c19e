"""By how much a JPEG may be scaled down while it is decoded."""

from collections.abc import Iterable, Sequence
from typing import Final

from llava_spec.anyres import Size, fit_within, select_best_resolution
from llava_spec.image_settings import AspectRatio

# What libjpeg can do at no cost, beside 1.
DRAFT_SCALES: Final = (8, 4, 2)

# The resize that follows scales down by at least 5/2. Then noisy photographs, too, stay within
# 3/255 of the full decode; at a ratio of 2 they do not.
RATIO: Final = (5, 2)


def draft_scale(
    image_size: Size, size: int, aspect_ratio: AspectRatio, grid_pinpoints: Sequence[Size]
) -> int:
    """Return 1, 2, 4 or 8 for an upright image whose views are `size` pixels wide and high.

    Sides and padding stay whole numbers: else seams would move.
    """
    width, height = image_size
    longer, shorter = max(image_size), min(image_size)
    match aspect_ratio:
        case "pad":
            return _largest(longer, size, [longer, shorter, (longer - shorter) // 2])
        case "square":
            return _largest(shorter, size, [longer, shorter])
        case "anyres":
            resized = [(size, size)]
            if grid_pinpoints:
                resized.append(
                    fit_within(image_size, select_best_resolution(image_size, grid_pinpoints))
                )
            return min(
                min(_largest(width, w, image_size), _largest(height, h, image_size))
                for w, h in resized
            )


def _largest(length: int, target: int, whole: Iterable[int]) -> int:
    """Return the largest scale that leaves enough of `length` and divides all of `whole`."""
    for scale in DRAFT_SCALES:
        enough = length * RATIO[1] >= RATIO[0] * scale * target
        if enough and all(number % scale == 0 for number in whole):
            return scale
    return 1
