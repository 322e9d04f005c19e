"""A file's structure, read before a pixel is decoded: size, tiles, frames and completeness."""

import struct
from collections.abc import Iterator
from typing import Final

from PIL import Image

from llava_spec.anyres import Size
from server.images.decode.heif import read_heif_size
from server.images.decode.icon import PNG_SIGNATURE, read_bitmap_size
from server.images.decode.jpeg2000 import has_jpeg2000_end, read_jpeg2000_size

# Formats whose frames follow each other in time. A TIFF has pages, a JPEG (MPO) other views.
ANIMATED_FORMATS: Final = frozenset({"GIF", "PNG", "WEBP", "AVIF"})

# GIF block introducers.
GIF_IMAGE, GIF_EXTENSION = 0x2C, 0x21
# The extension that says how long the next frame is shown.
GIF_GRAPHIC_CONTROL: Final = b"\x21\xf9\x04"

# TIFF tags.
TILE_WIDTH: Final = 322
TILE_LENGTH: Final = 323


def read_decoded_size(data: bytes, image_format: str) -> Size:
    """Return the (width, height) that will be decoded, where Pillow says another or too late.

    (0, 0) for other formats, and for damaged headers.
    """
    match image_format:
        case "WEBP":  # libwebp allocates when it opens a file
            return read_webp_size(data)
        case "HEIF":
            return read_heif_size(data)
        case "JPEG2000":
            return read_jpeg2000_size(data)
        case "ICO":
            return read_bitmap_size(data)
        case _:
            return 0, 0


def read_webp_size(data: bytes) -> Size:
    """Return the (width, height) of a WebP's canvas, (0, 0) if the header is too short."""
    if len(data) < 30:
        return 0, 0
    match data[12:16]:
        case b"VP8X":
            return _read_uint(data[24:27]) + 1, _read_uint(data[27:30]) + 1
        case b"VP8L":
            bits = _read_uint(data[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case _:
            return _read_uint(data[26:28]) & 0x3FFF, _read_uint(data[28:30]) & 0x3FFF


def has_huge_tiles(image: Image.Image, max_pixels: int) -> bool:
    """Whether a TIFF's tiles exceed `max_pixels`. Strips are never larger than the image."""
    tags = getattr(image, "tag_v2", {})
    width, length = tags.get(TILE_WIDTH, 0), tags.get(TILE_LENGTH, 0)
    return not (isinstance(width, int) and isinstance(length, int)) or width * length > max_pixels


def is_complete(data: bytes, image_format: str) -> bool:
    """Whether a PNG, WebP or JPEG 2000 is not truncated, which Pillow would decode silently.

    Trailing bytes are ignored. Other formats pass: Pillow detects their truncation, and a GIF only
    needs its first frame, which `count_gif_frames` checks.
    """
    match image_format:
        case "PNG":
            return _has_png_end(data)
        case "JPEG2000":
            return has_jpeg2000_end(data)
        case "WEBP":
            return _read_uint(data[4:8]) + 8 <= len(data)
        case _:
            return True


def count_frames(data: bytes, image: Image.Image, image_format: str, limit: int) -> int:
    """Return the number of frames or pages, at most `limit` + 1, without decoding."""
    if image_format == "GIF":
        return count_gif_frames(data, limit)
    if image_format == "TIFF":
        return count_tiff_pages(data, limit)
    return min(int(getattr(image, "n_frames", 1)), limit + 1)


def count_gif_frames(data: bytes, limit: int) -> int:
    """Count the complete frames of a GIF, at most `limit` + 1; 0 if the first is truncated."""
    return len(read_gif_delays(data, limit))


def read_gif_delays(data: bytes, limit: int) -> list[int]:
    """Return how long each complete frame of a GIF is shown, in hundredths of a second.

    Walks its blocks, to `limit` + 1 frames.
    """
    delays: list[int] = []
    delay = 0
    try:
        position = 13 + _color_table_bytes(data[10])
        while len(delays) <= limit and data[position] in (GIF_IMAGE, GIF_EXTENSION):
            if data[position] == GIF_EXTENSION:
                if data.startswith(GIF_GRAPHIC_CONTROL, position):
                    delay = _read_uint(data[position + 4 : position + 6])
                position = _skip_sub_blocks(data, position + 2)
            else:
                flags = data[position + 9]
                position = _skip_sub_blocks(data, position + 11 + _color_table_bytes(flags))
                delays.append(delay)
                delay = 0
    except IndexError:
        pass  # truncated: only complete frames count
    return delays


def count_tiff_pages(data: bytes, limit: int) -> int:
    """Count the pages of a TIFF by walking its directories; a loop ends the walk."""
    order = "<" if data[:2] == b"II" else ">"
    is_big_tiff = 43 in data[2:4]
    count_type, entry_bytes, offset_type = ("Q", 20, "Q") if is_big_tiff else ("H", 12, "I")
    visited: set[int] = set()
    try:
        (position,) = struct.unpack_from(order + offset_type, data, 8 if is_big_tiff else 4)
        while position and position not in visited and len(visited) <= limit:
            (num_entries,) = struct.unpack_from(order + count_type, data, position)
            visited.add(position)
            end = position + struct.calcsize(order + count_type) + num_entries * entry_bytes
            (position,) = struct.unpack_from(order + offset_type, data, end)
    except (struct.error, OverflowError):
        pass  # truncated: only complete directories count
    return max(1, len(visited))


def _color_table_bytes(flags: int) -> int:
    """Return the size of the color table that a GIF's flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_sub_blocks(data: bytes, position: int) -> int:
    """Return the position behind a GIF's chain of sub-blocks."""
    while length := data[position]:
        position += length + 1
    return position + 1


def _has_png_end(data: bytes) -> bool:
    return any(chunk_type == b"IEND" for chunk_type, _ in iterate_png_chunks(data))


def iterate_png_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield each chunk's type, and where its content begins."""
    position = len(PNG_SIGNATURE)
    while position + 8 <= len(data):
        length, chunk_type = struct.unpack_from(">I4s", data, position)
        yield chunk_type, position + 8
        position += length + 12  # length, type and checksum are 4 bytes each


def _read_uint(data: bytes) -> int:
    return int.from_bytes(data, "little")
