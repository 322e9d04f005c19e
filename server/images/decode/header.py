"""Sizes in headers that decide how much memory a codec takes."""

from typing import Final

from PIL import Image

from llava_spec.anyres import Size

TILE_WIDTH: Final = 322
TILE_LENGTH: Final = 323


def webp_size(data: bytes) -> Size:
    """Return the canvas of a WebP, (0, 0) where the header is too short to tell."""
    if len(data) < 30:
        return 0, 0
    match data[12:16]:
        case b"VP8X":
            return _number(data[24:27]) + 1, _number(data[27:30]) + 1
        case b"VP8L":
            bits = _number(data[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case _:
            return _number(data[26:28]) & 0x3FFF, _number(data[28:30]) & 0x3FFF


def has_huge_tiles(image: Image.Image, max_pixels: int) -> bool:
    """Tell whether a TIFF's tiles exceed the limit; strips are never larger than the image."""
    tags = getattr(image, "tag_v2", {})
    width, length = tags.get(TILE_WIDTH, 0), tags.get(TILE_LENGTH, 0)
    return not (isinstance(width, int) and isinstance(length, int)) or width * length > max_pixels


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
