"""The scale of a large JPEG before the resize: of libjpeg's decoding, else of squares of pixels.

libjpeg's scaled decoding (Pillow's `draft`) is several times as fast, but leaves out the
interpolation of subsampled colours and clips later, which shows where saturated colours meet. So
its result counts only if it is smooth. Averaging squares of pixels is exact enough for any image.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from PIL import Image, ImageChops

from llava_spec.anyres import Size, fit_within, select_best_resolution
from llava_spec.image_settings import AspectRatio

SCALES: Final = (8, 4, 2)

# The resize that follows scales down by at least this ratio. Then pixels stay within 3/255 of those
# without scaling; at ratios of 2 and 6 they do not.
Ratio = tuple[int, int]
MIN_RATIO_OF_DRAFT: Final = (5, 2)
MIN_RATIO_OF_AVERAGE: Final = (8, 1)

# Most that neighbouring pixels of a draft may differ, of 255.
MAX_DRAFT_STEP: Final = 48

# The sampling factors of a JPEG whose colours libjpeg scales as it scales the brightness: in full
# (4:4:4), and halved in both directions (4:2:0).
DRAFT_SAMPLINGS: Final = ([(1, 1)], [(1, 1)] * 3, [(2, 2), (1, 1), (1, 1)])


def can_draft(image: Image.Image) -> bool:
    """Whether a JPEG's sampling allows a draft."""
    layers = getattr(image, "layer", ())  # of each component: id, two sampling factors, table
    return [tuple(layer[1:3]) for layer in layers] in DRAFT_SAMPLINGS


def is_smooth(draft: Image.Image) -> bool:
    """Whether no neighbouring pixels of an RGB image differ much."""
    return all(_find_largest_step(draft, *step) <= MAX_DRAFT_STEP for step in ((1, 0), (0, 1)))


def _find_largest_step(image: Image.Image, right: int, down: int) -> int:
    width, height = image.size
    steps = ImageChops.difference(
        image.crop((right, down, width, height)), image.crop((0, 0, width - right, height - down))
    )
    levels = _sum_bands(steps.histogram())
    return max((step for step, count in enumerate(levels) if count), default=0)


def _sum_bands(histogram: list[int]) -> list[int]:
    return [sum(histogram[level::256]) for level in range(256)]


def choose_scale(
    image_size: Size,
    size: int,
    aspect_ratio: AspectRatio,
    grid_pinpoints: Sequence[Size],
    min_ratio: Ratio,
) -> int:
    """Return 1, 2, 4 or 8 for an upright image whose views are `size` pixels wide and high.

    The scale divides the image's sides and padding, or else seams would move.
    """
    longer, shorter = max(image_size), min(image_size)
    match aspect_ratio:
        case "pad":
            padding = (longer - shorter) // 2
            return _largest_scale(longer, size, [longer, shorter, padding], min_ratio)
        case "square":
            return _largest_scale(shorter, size, [longer, shorter], min_ratio)
        case "anyres":
            resized_sizes = [(size, size)]
            if grid_pinpoints:
                resized_sizes.append(
                    fit_within(image_size, select_best_resolution(image_size, grid_pinpoints))
                )
            return min(
                _largest_scale(length, target, image_size, min_ratio)
                for resized_size in resized_sizes
                for length, target in zip(image_size, resized_size, strict=True)
            )


def _largest_scale(length: int, target: int, lengths: Iterable[int], min_ratio: Ratio) -> int:
    """Return the largest scale that leaves enough of `length` and divides all `lengths`."""
    for scale in SCALES:
        is_enough = length * min_ratio[1] >= min_ratio[0] * scale * target
        if is_enough and all(each % scale == 0 for each in lengths):
            return scale
    return 1
