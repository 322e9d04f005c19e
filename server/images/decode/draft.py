"""The scale at which a JPEG may be decoded (libjpeg's scaled decoding, Pillow's `draft`)."""

from collections.abc import Iterable, Sequence
from typing import Final

from llava_spec.anyres import Size, fit_within, select_best_resolution
from llava_spec.image_settings import AspectRatio

# The scales that libjpeg decodes at no cost, besides 1.
DRAFT_SCALES: Final = (8, 4, 2)

# The resize that follows scales down by at least 5/2. Then even noisy photographs stay within 3/255
# of the full decode; at a ratio of 2 they do not.
MIN_RESIZE_RATIO: Final = (5, 2)


def choose_draft_scale(
    image_size: Size, size: int, aspect_ratio: AspectRatio, grid_pinpoints: Sequence[Size]
) -> int:
    """Return 1, 2, 4 or 8 for an upright image whose views are `size` pixels wide and high.

    The scale divides the image's sides and padding, or else seams would move.
    """
    width, height = image_size
    longer, shorter = max(image_size), min(image_size)
    match aspect_ratio:
        case "pad":
            return _largest_scale(longer, size, [longer, shorter, (longer - shorter) // 2])
        case "square":
            return _largest_scale(shorter, size, [longer, shorter])
        case "anyres":
            resized_sizes = [(size, size)]
            if grid_pinpoints:
                resized_sizes.append(
                    fit_within(image_size, select_best_resolution(image_size, grid_pinpoints))
                )
            return min(
                min(_largest_scale(width, w, image_size), _largest_scale(height, h, image_size))
                for w, h in resized_sizes
            )


def _largest_scale(length: int, target: int, lengths: Iterable[int]) -> int:
    """Return the largest scale that leaves enough of `length` and divides all `lengths`."""
    for scale in DRAFT_SCALES:
        is_enough = length * MIN_RESIZE_RATIO[1] >= MIN_RESIZE_RATIO[0] * scale * target
        if is_enough and all(each % scale == 0 for each in lengths):
            return scale
    return 1
