"""How many scans a JPEG has: each is a pass over all of its pixels, and may take a few bytes."""

import re
from typing import Final

# Encoders write some ten in a progressive JPEG.
MAX_SCANS: Final = 100

START_OF_SCAN: Final = b"\xff\xda"
END_OF_IMAGE: Final = b"\xff\xd9"
# The image's end, or a marker that a length follows. Within a scan's data 0xFF is followed by 0, by
# a marker that restarts the decoder, or by itself. libjpeg skips other markers without a length.
NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd8]")


def has_many_scans(data: bytes, limit: int) -> bool:
    """Whether a JPEG has more scans than the limit, up to the end of its first picture."""
    # Nearly all files end here. Others hold a thumbnail, or bytes behind their end.
    return data.count(START_OF_SCAN) > limit and _count_scans(data, limit) > limit


def _count_scans(data: bytes, limit: int) -> int:
    count, position = 0, 2
    while count <= limit and (marker := NEXT_MARKER.search(data, position)):
        if marker[0] == END_OF_IMAGE:
            break
        count += marker[0] == START_OF_SCAN
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
    return count
