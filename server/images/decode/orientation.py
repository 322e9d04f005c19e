"""EXIF orientation: which way is up."""

from typing import Final

from PIL import Image

ORIENTATION: Final = 0x0112
Transpose = Image.Transpose

TURNS: Final = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
LYING: Final = frozenset({Transpose.TRANSPOSE, Transpose.ROTATE_270}) | frozenset(
    {Transpose.TRANSVERSE, Transpose.ROTATE_90}
)


def find_transpose(image: Image.Image, image_format: str) -> Transpose | None:
    """Return what makes the pixels as loaded upright. A broken EXIF block says nothing.

    Before a PNG is loaded its EXIF block may be unread. Pillow turns a TIFF when it loads it.
    """
    if image_format == "TIFF":
        return None
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow's EXIF reader raises whatever it likes
        return None
