"""The image formats that are accepted: detection by content, and opening a file."""

import functools
import io
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from PIL import AvifImagePlugin, Image, ImageFile, PngImagePlugin, features

from server.images.decode.heif import HAS_HEIF, has_hevc_brand, read_brands, register_plugin

# By Pillow's names. AVIF needs a Pillow that was built with it, HEIF the plugin.
FORMATS: Final = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"),
    *(("AVIF",) if features.check("avif") else ()),
    *(("HEIF",) if HAS_HEIF else ()),
    *(("JPEG2000",) if features.check("jpg_2000") else ()),
    *("ICO", "PPM", "TGA"),
)

# There are as many workers as cores.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

# Pillow detects a format from this many bytes.
MAGIC_BYTES: Final = 16

# The type of the item that holds EXIF data, in an AVIF's list of items.
AVIF_EXIF: Final = re.compile(rb"(?<=infe.{8})Exif", re.DOTALL)

# Text may begin with a P and a digit, too.
PPM_START: Final = re.compile(rb"P[1-6f]\s")
# A TGA has no magic number at its start, but since version 2 one at its end.
TGA_END: Final = b"TRUEVISION-XFILE.\0"


@functools.cache
def load_plugins() -> None:
    """Load Pillow's plugins and their libraries, which a confined process cannot."""
    Image.init()
    register_plugin()


def detect_format(data: bytes, formats: Sequence[str] = FORMATS) -> str | None:
    """Return which of the formats the bytes have, by their magic number; None if they have none."""
    load_plugins()
    return next((each for each in formats if _has_format(data, each)), None)


def _has_format(data: bytes, image_format: str) -> bool:
    accept, check = Image.OPEN[image_format][1], CHECKS.get(image_format)
    has_magic = accept is None or accept(data[:MAGIC_BYTES]) is True
    return has_magic and (check is None or check(data))


def _has_avif_brand(data: bytes) -> bool:
    brands = read_brands(data)
    return b"avif" in brands or b"avis" in brands


# Where Pillow's look at the first bytes does not suffice.
CHECKS: Final[dict[str, Callable[[bytes], bool]]] = {
    "AVIF": _has_avif_brand,
    "HEIF": has_hevc_brand,
    "PPM": lambda data: PPM_START.match(data) is not None,
    "TGA": lambda data: data.endswith(TGA_END),
}


# The limits of `DecodeOptions` count, in place of Pillow's own.
Image.MAX_IMAGE_PIXELS = None
# Pillow refuses a PNG with a compressed text or color profile beyond 1 MiB, which programs that
# draw images write. All texts of a file together may be as large.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY


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
