"""Padding to a square and resizing it, without ever holding the square.

Pillow resizes horizontally, rounds to 8 bits, then resizes vertically; a pass whose side stays is
left out. So rows can be resized apart from each other, and those of padding are all the same.
"""

from collections.abc import Iterator
from typing import Final

from PIL import Image

from llava_spec.anyres import Size

BICUBIC: Final = Image.Resampling.BICUBIC

# Pixels of a band of padded rows.
BAND: Final = 1 << 20

# Rows of a square of which not every column is resized.
LONG: Final = 16384


def resize_padded(image: Image.Image, size: int, color: tuple[int, int, int]) -> Image.Image:
    """Return an RGB image centred on a square of its longer side, resized (bicubic) to `size`.

    Equals `expand2square` of the released code and a resize, pixel by pixel.
    """
    if image.width == image.height:
        return image.resize((size, size), BICUBIC)
    side = max(image.size)
    if side <= size:
        return paste_centred(image, (side, side), color).resize((size, size), BICUBIC)
    narrow = _narrowed_wide if image.width > image.height else _narrowed_tall
    return narrow(image, size, color).resize((size, size), BICUBIC)


def paste_centred(image: Image.Image, size: Size, color: tuple[int, int, int]) -> Image.Image:
    """Paste an image on a larger one; of an odd rest the smaller half lies above and left."""
    canvas = Image.new("RGB", size, color)
    canvas.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return canvas


def _narrowed_wide(image: Image.Image, size: int, color: tuple[int, int, int]) -> Image.Image:
    """Return the square resized horizontally; padding lies above and below."""
    return paste_centred(image.resize((size, image.height), BICUBIC), (size, image.width), color)


def _narrowed_tall(image: Image.Image, size: int, color: tuple[int, int, int]) -> Image.Image:
    """Return the square resized horizontally; padding lies left and right."""
    narrowed = Image.new("RGB", (size, image.height), color)
    first, last = _columns(image, size)
    scale = image.height / size
    for top, band in _padded_bands(image, color):
        box = (first * scale, 0, last * scale, band.height)
        resized = band.resize((last - first, band.height), BICUBIC, box)
        narrowed.paste(resized, (first, top))
    return narrowed


def _columns(image: Image.Image, size: int) -> tuple[int, int]:
    """Return from which column to which one to resize.

    All of them, except in squares too long for that, where columns of mere padding are left out: a
    box that begins elsewhere may round a pixel in millions differently.
    """
    if image.height <= LONG:
        return 0, size
    scale = image.height / size
    left = (image.height - image.width) // 2
    reach = 2 * scale  # of a bicubic filter
    first = int((left - reach) / scale) - 1
    last = int((left + image.width + reach) / scale) + 2
    return max(0, first), min(size, last)


def _padded_bands(
    image: Image.Image, color: tuple[int, int, int]
) -> Iterator[tuple[int, Image.Image]]:
    """Yield some rows of the square at a time, always on the same canvas."""
    side = image.height
    rows = max(1, BAND // side)
    canvas = Image.new("RGB", (side, min(rows, side)), color)
    for top in range(0, side, rows):
        bottom = min(top + rows, side)
        canvas.paste(image.crop((0, top, image.width, bottom)), ((side - image.width) // 2, 0))
        yield top, canvas if bottom - top == rows else canvas.crop((0, 0, side, bottom - top))
