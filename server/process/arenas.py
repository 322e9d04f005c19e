"""glibc's malloc: few arenas."""

import ctypes
from contextlib import suppress
from typing import Final

# From <malloc.h>.
M_ARENA_MAX: Final = -8
ARENAS: Final = 2


def limit_arenas() -> None:
    """Limit malloc's arenas: one per thread keeps freed memory and looks like a leak.

    Call it before the first thread starts, which would get an arena of its own.
    """
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
