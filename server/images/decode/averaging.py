"""The scale of a large JPEG before the resize: squares of its pixels are averaged.

That takes a third of the time from large photographs. libjpeg could scale while it decodes, but
does so before it interpolates subsampled colours: at 4:2:0 that shows by 6/255 in sharp
photographs and by 14/255 where saturated colours meet, at 4:2:2 by more. Averaging is the same for
every sampling.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from llava_spec.anyres import Size, fit_within, select_best_resolution
from llava_spec.image_settings import AspectRatio

SCALES: Final = (8, 4, 2)

# The resize that follows scales down by at least this ratio. Then photographs stay within 3/255 of
# those without scaling, hard edges within 4/255 and noise of single saturated pixels within 6/255.
MIN_RATIO: Final = (9, 2)


def choose_scale(
    image_size: Size,
    size: int,
    aspect_ratio: AspectRatio,
    grid_pinpoints: Sequence[Size],
) -> int:
    """Return 1, 2, 4 or 8 for an upright image whose views are `size` pixels wide and high.

    The scale divides the image's sides and padding, or else seams would move.
    """
    longer, shorter = max(image_size), min(image_size)
    match aspect_ratio:
        case "pad":
            padding = (longer - shorter) // 2
            return _largest_scale(longer, size, [longer, shorter, padding])
        case "square":
            return _largest_scale(shorter, size, [longer, shorter])
        case "anyres" | "stretch":
            resized_sizes = [(size, size)]
            if grid_pinpoints:
                resized_sizes.append(
                    fit_within(image_size, select_best_resolution(image_size, grid_pinpoints))
                )
            return min(
                _largest_scale(length, target, image_size)
                for resized_size in resized_sizes
                for length, target in zip(image_size, resized_size, strict=True)
            )


def _largest_scale(length: int, target: int, lengths: Iterable[int]) -> int:
    """Return the largest scale that leaves enough of `length` and divides all `lengths`."""
    for scale in SCALES:
        is_enough = length * MIN_RATIO[1] >= MIN_RATIO[0] * scale * target
        if is_enough and all(each % scale == 0 for each in lengths):
            return scale
    return 1
