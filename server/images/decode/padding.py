"""Pads an image to a square and resizes it, without holding the whole square in memory.

Pillow resizes horizontally, rounds to 8 bits, then resizes vertically. It skips a pass that keeps
the side. So rows can be resized independently, and all rows of padding are alike.
"""

from collections.abc import Iterator
from typing import Final

from PIL import Image

from llava_spec.anyres import Size

BICUBIC: Final = Image.Resampling.BICUBIC

# Bounds the pixels of one band of padded rows.
BAND_PIXELS: Final = 1 << 20

# Taller squares skip the columns of mere padding.
MAX_FULL_WIDTH_ROWS: Final = 16384


def resize_padded(image: Image.Image, size: int, color: tuple[int, int, int]) -> Image.Image:
    """Return an RGB image centred on a square of its longer side, resized (bicubic) to `size`.

    Equals `expand2square` of the released code and a resize, pixel by pixel.
    """
    if image.width == image.height:
        return image.resize((size, size), BICUBIC)
    side = max(image.size)
    if side <= size:
        return paste_centred(image, (side, side), color).resize((size, size), BICUBIC)
    resize_width = _resize_wide if image.width > image.height else _resize_tall
    return resize_width(image, size, color).resize((size, size), BICUBIC)


def paste_centred(image: Image.Image, size: Size, color: tuple[int, int, int]) -> Image.Image:
    """Paste an image on a larger canvas; an odd margin is smaller above and on the left."""
    canvas = Image.new("RGB", size, color)
    canvas.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return canvas


def _resize_wide(image: Image.Image, size: int, color: tuple[int, int, int]) -> Image.Image:
    """Return the square resized horizontally; padding is above and below."""
    return paste_centred(image.resize((size, image.height), BICUBIC), (size, image.width), color)


def _resize_tall(image: Image.Image, size: int, color: tuple[int, int, int]) -> Image.Image:
    """Return the square resized horizontally; padding is on the left and right."""
    result = Image.new("RGB", (size, image.height), color)
    first, last = _find_columns(image, size)
    scale = image.height / size
    for top, band in _iterate_padded_bands(image, color):
        box = (first * scale, 0, last * scale, band.height)
        resized = band.resize((last - first, band.height), BICUBIC, box)
        result.paste(resized, (first, top))
    return result


def _find_columns(image: Image.Image, size: int) -> tuple[int, int]:
    """Return the range of columns to resize.

    All of them up to `MAX_FULL_WIDTH_ROWS`; above it, columns of mere padding are skipped. A box
    that begins elsewhere may round one pixel in millions differently.
    """
    if image.height <= MAX_FULL_WIDTH_ROWS:
        return 0, size
    scale = image.height / size
    left = (image.height - image.width) // 2
    filter_support = 2 * scale  # of a bicubic filter
    first = int((left - filter_support) / scale) - 1
    last = int((left + image.width + filter_support) / scale) + 2
    return max(0, first), min(size, last)


def _iterate_padded_bands(
    image: Image.Image, color: tuple[int, int, int]
) -> Iterator[tuple[int, Image.Image]]:
    """Yield bands of the square's rows, each with its top row; all share one canvas."""
    side = image.height
    num_rows = max(1, BAND_PIXELS // side)
    canvas = Image.new("RGB", (side, min(num_rows, side)), color)
    for top in range(0, side, num_rows):
        bottom = min(top + num_rows, side)
        canvas.paste(image.crop((0, top, image.width, bottom)), ((side - image.width) // 2, 0))
        yield top, canvas if bottom - top == num_rows else canvas.crop((0, 0, side, bottom - top))
