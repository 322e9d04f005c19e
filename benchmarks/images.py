"""Images for the load: seeded noise that resembles photographs, unique per number.

Encoding a 12-megapixel JPEG takes longer than serving it. A new image is therefore a modified one:
a change of a JPEG's quantisation table or a PNG's first row changes the file and its pixels.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
JPEG_TABLE: Final = b"\xff\xdb"  # DQT
TABLE_HEAD: Final = 5  # marker, length, identifier
VARIED_ENTRIES: Final = 40  # of a quantisation table, after the DC entry
MAX_ENTRY: Final = 255

Pixels = npt.NDArray[np.uint8]


def generate_noise(width: int, height: int, seed: int) -> Pixels:
    """Return pixels (height, width, 3) of noise at several scales, as in photographs."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3), np.float32)
    cells, contrast = 3, 100.0
    while cells < min(width, height):
        grid = random.integers(0, 256, (cells, cells * width // height + 1, 3), np.uint8)
        layer = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        pixels += (np.asarray(layer, np.float32) - 127.5) * (contrast / 127.5)
        cells, contrast = cells * 4, contrast / 1.9
    return np.clip(pixels + 127.5, 0, 255).astype(np.uint8)


class JpegImages:
    """A source of different JPEGs of one size."""

    def __init__(self, width: int, height: int, folder: Path, *, bases: int = 4) -> None:
        self._bases = [_read_or_encode_jpeg(width, height, seed, folder) for seed in range(bases)]

    def build(self, number: int) -> bytes:
        """Build image `number`; different numbers differ in bytes and, at full size, in pixels."""
        base = self._bases[number % len(self._bases)]
        changed = bytearray(base)
        first = base.index(JPEG_TABLE) + TABLE_HEAD + 1
        digits = number
        for entry in range(first, first + VARIED_ENTRIES):
            changed[entry] = min(MAX_ENTRY - 1, changed[entry]) + digits % 2
            digits //= 2
        return bytes(changed)


class PngImages:
    """A source of different square PNGs of one size."""

    def __init__(self, size: int, *, bases: int = 8) -> None:
        self._size = size
        self._bases = [_PngTemplate(size, seed) for seed in range(bases)]

    def build(self, number: int) -> bytes:
        """Build image `number`; different numbers differ in bytes and in pixels."""
        row = np.random.default_rng(number).integers(0, 256, self._size * 3, np.uint8)
        return self._bases[number % len(self._bases)].build(b"\0" + row.tobytes())


class _PngTemplate:
    """A PNG whose first row can be replaced, since the other rows are compressed separately."""

    def __init__(self, size: int, seed: int) -> None:
        rows = generate_noise(size, size, seed)[1:]
        unfiltered = np.zeros((size - 1, 1 + size * 3), np.uint8)
        # Filter "up", as encoders choose for photographs.
        unfiltered[:, 0] = 2
        unfiltered[1:, 1:] = (rows[1:] - rows[:-1]).reshape(size - 2, -1)
        unfiltered[0, 0] = 0
        unfiltered[0, 1:] = rows[0].reshape(-1)
        self._rest = unfiltered.tobytes()
        deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._deflated_rest = deflate.compress(self._rest) + deflate.flush()
        self._header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)

    def build(self, row: bytes) -> bytes:
        """Build the file with this first row, which starts with its filter byte."""
        deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        first = deflate.compress(row) + deflate.flush(zlib.Z_FULL_FLUSH)
        checksum = struct.pack(">I", zlib.adler32(self._rest, zlib.adler32(row)))
        data = b"".join((b"\x78\x9c", first, self._deflated_rest, checksum))
        chunks = (
            _build_chunk(b"IHDR", self._header),
            _build_chunk(b"IDAT", data),
            _build_chunk(b"IEND", b""),
        )
        return PNG_SIGNATURE + b"".join(chunks)


def _build_chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
    return b"".join((struct.pack(">I", len(data)), kind, data, checksum))


def _read_or_encode_jpeg(width: int, height: int, seed: int, folder: Path) -> bytes:
    """Return a JPEG, cached in `folder`, since encoding a large one takes a second."""
    path = folder / f"{width}x{height}-{seed}.jpg"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        encoded = io.BytesIO()
        Image.fromarray(generate_noise(width, height, seed)).save(encoded, "JPEG", quality=90)
        partial = path.with_suffix(".partial")
        partial.write_bytes(encoded.getvalue())
        partial.rename(path)
    return path.read_bytes()
