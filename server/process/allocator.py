"""glibc's malloc: it gives memory back instead of keeping what large bodies took."""

import ctypes
from contextlib import suppress
from typing import Final

# From <malloc.h>.
M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
ARENAS: Final = 2
# By default both thresholds grow with the largest block that was freed, to 32 and 64 MiB.
THRESHOLD_BYTES: Final = 8 * 1024 * 1024


def configure_allocator() -> None:
    """Keep few arenas, and little free memory in each: what it keeps looks like a leak.

    Call it before the first thread starts, which would get an arena of its own.
    """
    with suppress(AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_ARENA_MAX, ARENAS)
        mallopt(M_MMAP_THRESHOLD, THRESHOLD_BYTES)
        mallopt(M_TRIM_THRESHOLD, THRESHOLD_BYTES)
