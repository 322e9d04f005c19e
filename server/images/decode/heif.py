"""HEIF files with HEVC pictures (HEIC, of phones): Pillow's plugin, brands and sizes."""

import re
import struct
from importlib.util import find_spec
from typing import Final

from llava_spec.anyres import Size

HAS_HEIF: Final = find_spec("pi_heif") is not None
HEVC_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
MAX_BRAND_BYTES: Final = 1024

# The property that states the size of one of the file's pictures.
_SIZE: Final = re.compile(rb"(?<=ispe.{4}).{8}", re.DOTALL)


def register_plugin() -> None:
    """Have Pillow read HEIF, in one thread: there are as many workers as cores."""
    if HAS_HEIF:
        import pi_heif

        pi_heif.register_heif_opener(
            thumbnails=False, depth_images=False, aux_images=False, decode_threads=1
        )


def read_brands(data: bytes) -> bytes:
    """Return the brands that a file in ISO's container, HEIF or AVIF, says that it has."""
    return data[8 : min(int.from_bytes(data[:4], "big"), MAX_BRAND_BYTES)]


def has_hevc_brand(data: bytes) -> bool:
    """Whether a HEIF file has HEVC pictures."""
    brands = read_brands(data)
    return any(brand in brands for brand in HEVC_BRANDS)


def read_heif_size(data: bytes) -> Size:
    """Return the (width, height) of the file's largest picture, (0, 0) if none has a size.

    Each tile of a picture, and a picture that is cropped afterwards, is decoded in full.
    """
    sizes = [struct.unpack(">2I", size) for size in _SIZE.findall(_read_metadata(data))]
    width, height = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    return width, height


def _read_metadata(data: bytes) -> bytes:
    """Return the box `meta`, empty if there is none."""
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"meta":
            return data[position : position + length]
        if length < 8:  # 0 is up to the end, 1 a length of 64 bits: no file has that before `meta`
            break
        position += length
    return b""
