"""The image formats that are accepted: detection by content, and opening a file."""

import io
import re
from typing import Any, Final

from PIL import AvifImagePlugin, Image, ImageFile, features

# Without Pillow's AVIF support, AVIF files are of an unknown format.
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF") + (
    ("AVIF",) if features.check("avif") else ()
)

# There are as many workers as cores.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

# Pillow detects a format from this many bytes.
MAGIC_BYTES: Final = 16

# The type of the item that holds EXIF data, in an AVIF's list of items.
AVIF_EXIF: Final = re.compile(rb"(?<=infe.{8})Exif", re.DOTALL)


def detect_format(data: bytes) -> str | None:
    """Return the format whose magic number the bytes begin with, None if there is none."""
    Image.init()
    for image_format in FORMATS:
        accept = Image.OPEN[image_format][1]
        if accept is not None and accept(data[:MAGIC_BYTES]) is True:
            return image_format if image_format != "AVIF" or _has_avif_brand(data) else None
    return None


def _has_avif_brand(data: bytes) -> bool:
    """Whether a file in the container of AVIF and HEIC is an AVIF."""
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 1024)]
    return b"avif" in brands or b"avis" in brands


def open_image(data: bytes, image_format: str) -> ImageFile.ImageFile:
    """Read the header. Raises any exception of Pillow's plugin."""
    try:
        image = _open(data, image_format)
    except Exception:
        # Pillow refuses an AVIF whose EXIF block it cannot read.
        without_exif = AVIF_EXIF.sub(b"none", data) if image_format == "AVIF" else data
        if without_exif == data:
            raise
        image = _open(without_exif, image_format)
    if image_format == "PNG" and "transparency" in image.info:
        image.info["transparency"] = _scale_transparency(image.info["transparency"], data[24])
    return image


def _open(data: bytes, image_format: str) -> ImageFile.ImageFile:
    return Image.open(io.BytesIO(data), formats=(image_format,))


def _scale_transparency(key: Any, bit_depth: int) -> Any:
    """Scale a PNG's transparent colour from the file's bit depth as Pillow scales the pixels."""
    if isinstance(key, int) and bit_depth < 8:
        return min(255, key * 255 // (2**bit_depth - 1))  # Pillow scales 1 bit itself
    if isinstance(key, tuple) and bit_depth == 16:
        return tuple(value >> 8 for value in key)
    return key
