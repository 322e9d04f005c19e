"""EXIF orientation: the transpose that makes an image upright."""

from typing import Final

from PIL import Image

ORIENTATION: Final = 0x0112
Transpose = Image.Transpose

# The transpose that undoes each EXIF orientation.
TRANSPOSES: Final = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
# Those that swap width and height.
SWAPS_SIDES: Final = frozenset({Transpose.TRANSPOSE, Transpose.ROTATE_270}) | frozenset(
    {Transpose.TRANSVERSE, Transpose.ROTATE_90}
)


def find_transpose(image: Image.Image, image_format: str) -> Transpose | None:
    """Return the transpose that makes the loaded pixels upright. A broken EXIF block is ignored.

    A PNG's EXIF block may be unread before the image is loaded. Pillow transposes a TIFF itself.
    """
    if image_format == "TIFF":
        return None
    try:
        return TRANSPOSES.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow's EXIF reader raises many kinds of exception
        return None
