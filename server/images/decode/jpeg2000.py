"""A JPEG 2000 codestream's structure, bare or in a JP2 file: its size and its end."""

import struct
from typing import Final

from llava_spec.anyres import Size

START: Final = b"\xff\x4f\xff\x51"  # start of codestream, then its size
TILE_PART: Final = b"\xff\x90"
END: Final = b"\xff\xd9"


def read_jpeg2000_size(data: bytes) -> Size:
    """Return the (width, height) of the image or of a tile, whichever has more pixels.

    A JP2 file states the image's size twice; the decoder goes by this one. Returns (0, 0) if the
    header is damaged.
    """
    start = data.find(START)
    if start < 0 or len(data) < start + 40:
        return 0, 0
    right, bottom, left, top, tile_width, tile_height = struct.unpack_from(">6I", data, start + 8)
    sizes = [(max(0, right - left), max(0, bottom - top))]
    if tile_width < right and tile_height < bottom:
        sizes.append((tile_width, tile_height))
    return max(sizes, key=lambda size: size[0] * size[1])


def has_jpeg2000_end(data: bytes) -> bool:
    """Whether the codestream ends as it should: walk its header and its tiles' parts."""
    position = data.find(START) + 2
    if position < 2:
        return False
    while data[position : position + 2] != TILE_PART:
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if length < 2:
            return False
        position += 2 + length
    while data[position : position + 2] == TILE_PART:
        length = int.from_bytes(data[position + 6 : position + 10], "big")
        if length == 0:  # the last part, up to the end
            return END in data[-16:]
        position += max(length, 12)
    return data[position : position + 2] == END
