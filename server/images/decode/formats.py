"""Which image formats are read, told by content, and how a file of one is opened."""

import io
import re
from typing import Any, Final

from PIL import AvifImagePlugin, Image, ImageFile, features

# Without Pillow's AVIF support such files are of an unknown format.
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF") + (
    ("AVIF",) if features.check("avif") else ()
)

# There are as many workers as cores.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

# What Pillow itself reads to recognise a format.
PREFIX: Final = 16

# The type of the item that holds EXIF data, in an AVIF's list of items.
AVIF_EXIF: Final = re.compile(rb"(?<=infe.{8})Exif", re.DOTALL)


def sniff(data: bytes) -> str | None:
    """Return the format whose magic the bytes bear."""
    Image.init()
    for image_format in FORMATS:
        accept = Image.OPEN[image_format][1]
        if accept is not None and accept(data[:PREFIX]) is True:
            return image_format if image_format != "AVIF" or _has_avif_brand(data) else None
    return None


def _has_avif_brand(data: bytes) -> bool:
    """Tell an AVIF from other files in its container (HEIC)."""
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 1024)]
    return b"avif" in brands or b"avis" in brands


def open_image(data: bytes, image_format: str) -> ImageFile.ImageFile:
    """Read the header. Raises whatever the plugin does."""
    try:
        image = _open(data, image_format)
    except Exception:
        # Pillow refuses an AVIF whose EXIF block it cannot read.
        without_exif = AVIF_EXIF.sub(b"none", data) if image_format == "AVIF" else data
        if without_exif == data:
            raise
        image = _open(without_exif, image_format)
    if image_format == "PNG" and "transparency" in image.info:
        image.info["transparency"] = _scaled_key(image.info["transparency"], data[24])
    return image


def _open(data: bytes, image_format: str) -> ImageFile.ImageFile:
    return Image.open(io.BytesIO(data), formats=(image_format,))


def _scaled_key(key: Any, depth: int) -> Any:
    """Scale a PNG's transparent colour, which has the file's bits, as Pillow scales its pixels."""
    if isinstance(key, int) and depth < 8:
        return min(255, key * 255 // (2**depth - 1))  # of 1 bit Pillow does so itself
    if isinstance(key, tuple) and depth == 16:
        return tuple(value >> 8 for value in key)
    return key
