"""Data and its compressed forms."""

import gzip
import zlib
from collections.abc import Callable
from typing import Final

import brotli
from backports import zstd

MIB: Final = 1024 * 1024


def compress_raw(data: bytes) -> bytes:
    """Return deflate without zlib's header."""
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def compress_brotli(data: bytes) -> bytes:
    """Return Brotli."""
    return bytes(brotli.compress(data, quality=5))


COMPRESSORS: Final[list[tuple[str, Callable[[bytes], bytes]]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", compress_raw),
    ("br", compress_brotli),
    ("zstd", zstd.compress),
]
