"""How many frames or pages a file has, counted from its structure up to a limit."""

import struct
from typing import Final

from PIL import Image

# Formats whose frames follow each other in time; a TIFF has pages, a JPEG (MPO) other views.
ANIMATED: Final = frozenset({"GIF", "PNG", "WEBP", "AVIF"})

IMAGE, EXTENSION = 0x2C, 0x21


def count_frames(data: bytes, image: Image.Image, image_format: str, limit: int) -> int:
    """Return the number of frames, at most `limit` + 1. Decodes nothing."""
    if image_format == "GIF":
        return gif_frames(data, limit)
    if image_format == "TIFF":
        return tiff_pages(data, limit)
    return min(int(getattr(image, "n_frames", 1)), limit + 1)


def gif_frames(data: bytes, limit: int) -> int:
    """Count the whole frames of a GIF by walking its blocks; 0 if the first is cut short."""
    frames = 0
    try:
        position = 13 + _table_bytes(data[10])
        while frames <= limit and data[position] in (IMAGE, EXTENSION):
            if data[position] == EXTENSION:
                position = _after_sub_blocks(data, position + 2)
            else:
                flags = data[position + 9]
                position = _after_sub_blocks(data, position + 11 + _table_bytes(flags))
                frames += 1
    except IndexError:
        pass  # cut short: what came whole counts
    return frames


def _table_bytes(flags: int) -> int:
    """Return the size of the colour table that a GIF's flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_sub_blocks(data: bytes, position: int) -> int:
    while length := data[position]:
        position += length + 1
    return position + 1


def tiff_pages(data: bytes, limit: int) -> int:
    """Count the pages of a TIFF by walking its directories; a loop ends the walk."""
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]
    count, entry, link = ("Q", 20, "Q") if big else ("H", 12, "I")
    seen: set[int] = set()
    try:
        (position,) = struct.unpack_from(order + link, data, 8 if big else 4)
        while position and position not in seen and len(seen) <= limit:
            (entries,) = struct.unpack_from(order + count, data, position)
            seen.add(position)
            end = position + struct.calcsize(order + count) + entries * entry
            (position,) = struct.unpack_from(order + link, data, end)
    except (struct.error, OverflowError):
        pass  # cut short: what came whole counts
    return max(1, len(seen))
