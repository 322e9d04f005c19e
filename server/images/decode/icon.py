"""The pictures in an icon (ICO): each is a PNG, or a bitmap with a mask."""

import struct
from typing import Final

from llava_spec.anyres import Size

HEADER: Final = struct.Struct("<HHH")  # 0, 1, number of pictures
# Width, height, colours, 0, planes, bits per pixel, bytes, offset; a side of 0 is 256.
ENTRY: Final = struct.Struct("<BBBBHHII")
BITMAP_OFFSET: Final = HEADER.size + ENTRY.size
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
OLD_BITMAP_HEADER_BYTES: Final = 12


def extract_largest(icon: bytes) -> tuple[bytes, str]:
    """Return the icon's largest picture and its format: `PNG`, or `ICO` of it alone.

    Raises `ValueError` or `struct.error` on damaged data.
    """
    _, _, count = HEADER.unpack_from(icon)
    table = icon[HEADER.size : HEADER.size + count * ENTRY.size]
    *shape, num_bytes, offset = max(ENTRY.iter_unpack(table), key=_rank)
    picture = icon[offset : offset + num_bytes]
    if not picture or len(picture) < num_bytes:
        raise ValueError("the icon is cut short")
    if picture.startswith(PNG_SIGNATURE):
        return picture, "PNG"
    header = HEADER.pack(0, 1, 1) + ENTRY.pack(*shape, num_bytes, BITMAP_OFFSET)
    return header + picture, "ICO"


def read_bitmap_size(icon: bytes) -> Size:
    """Return the (width, height) of the bitmap in an icon of one picture, (0, 0) if damaged."""
    header = icon[BITMAP_OFFSET : BITMAP_OFFSET + 12]
    if len(header) < 12:
        return 0, 0
    is_old = int.from_bytes(header[:4], "little") == OLD_BITMAP_HEADER_BYTES
    width, height = struct.unpack_from("<HH" if is_old else "<ii", header, 4)
    return abs(width), abs(height) // 2  # the mask has the other half


def _rank(entry: tuple[int, ...]) -> tuple[int, int]:
    width, height, bits = entry[0], entry[1], entry[5]
    return (width or 256) * (height or 256), bits
