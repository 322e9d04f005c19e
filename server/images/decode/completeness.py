"""Whether a file is there to its end, where Pillow would read on without complaint."""

import struct
from typing import Final

PNG_SIGNATURE: Final = 8


def is_complete(data: bytes, image_format: str) -> bool:
    """Tell whether nothing is missing that Pillow would not miss. Bytes that follow do not matter.

    A GIF has to be whole up to its first frame only, which counting its frames tells.
    """
    match image_format:
        case "PNG":
            return _png_ends(data)
        case "WEBP":
            return int.from_bytes(data[4:8], "little") + 8 <= len(data)
        case _:
            return True


def _png_ends(data: bytes) -> bool:
    """Walk the chunks to IEND."""
    position = PNG_SIGNATURE
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IEND":
            return True
        position += length + 12  # length, kind and checksum are 4 bytes each
    return False
