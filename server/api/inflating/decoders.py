"""One decoder for each content coding. Each step of its work is bounded, however small its input.

A decoder yields its output in pieces, some of them empty, so that its caller can stop, or let
others run, between any two of them.
"""

import sys
import zlib
from collections.abc import Iterator
from typing import Final, Protocol

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Output of one step. Brotli rounds up to its own blocks.
STEP_BYTES: Final = 256 * 1024
# Most parts of a gzip or Zstandard body. Parallel compressors write one for each 64 KiB or more.
MAX_PARTS: Final = 4096
# Memory that a Zstandard body may ask for, as a power of two (RFC 9659: 8 MiB).
MAX_WINDOW_LOG: Final = 23

GZIP_BITS: Final = 31
ZLIB_BITS: Final = 15
RAW_DEFLATE_BITS: Final = -15


class CorruptData(Exception):
    """The input is not valid in this coding. The message says why."""


class Decoder(Protocol):
    """Decompresses a body piece by piece."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the output of more input, in pieces of about `STEP_BYTES`. Raises `CorruptData`."""

    def finish(self) -> None:
        """Raise `CorruptData` unless the input was complete."""


class PartCount:
    """Bounds the parts of a body: each costs a decompressor, however small it is."""

    def __init__(self) -> None:
        self._parts = 1

    def add(self) -> None:
        """Count one more part. Raises `CorruptData`."""
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise CorruptData(f"it has more than {MAX_PARTS} parts")


class GzipDecoder:
    """gzip: one member or several (RFC 1952)."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(GZIP_BITS)
        self._parts = PartCount()

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the output of more input. Raises `CorruptData`."""
        while data:
            if self._member.eof:
                self._parts.add()
                self._member = zlib.decompressobj(GZIP_BITS)
            yield from _decompress(self._member, data)
            data = self._member.unused_data

    def finish(self) -> None:
        """Raise `CorruptData` unless the last member is complete."""
        if not self._member.eof:
            raise CorruptData("it ends early")


class DeflateDecoder:
    """`deflate`: zlib's format (RFC 1950), or, as some clients send it, without zlib's header."""

    def __init__(self) -> None:
        self._head = b""
        self._stream: zlib._Decompress | None = None

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the output of more input. Raises `CorruptData`."""
        if self._stream is None:
            data = self._head = self._head + data
            if len(data) < 2:
                return
            bits = ZLIB_BITS if _has_zlib_header(data) else RAW_DEFLATE_BITS
            self._stream, self._head = zlib.decompressobj(bits), b""
        if data and self._stream.eof:
            raise CorruptData("there is more data after its end")
        yield from _decompress(self._stream, data)
        if self._stream.unused_data:
            raise CorruptData("there is more data after its end")

    def finish(self) -> None:
        """Raise `CorruptData` unless the stream is complete."""
        if self._stream is None or not self._stream.eof:
            raise CorruptData("it ends early")


class BrotliDecoder:
    """Brotli (RFC 7932)."""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the output of more input. Raises `CorruptData`."""
        piece = self._process(data)
        yield piece
        # It may accept more input and still hold output back.
        while not self._stream.is_finished() and (piece or not self._stream.can_accept_more_data()):
            piece = self._process(b"")
            yield piece

    def _process(self, data: bytes) -> bytes:
        try:
            return bytes(self._stream.process(data, output_buffer_limit=STEP_BYTES))
        except brotli.error:
            raise CorruptData("it is corrupt") from None

    def finish(self) -> None:
        """Raise `CorruptData` unless the stream is complete."""
        if not self._stream.is_finished():
            raise CorruptData("it ends early")


class ZstdDecoder:
    """Zstandard: one frame or several (RFC 8878)."""

    def __init__(self) -> None:
        self._frame = _begin_frame()
        self._parts = PartCount()

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the output of more input. Raises `CorruptData`."""
        while data:
            if self._frame.eof:
                self._parts.add()
                self._frame = _begin_frame()
            yield self._decompress(data)
            while not (self._frame.eof or self._frame.needs_input):
                yield self._decompress(b"")
            data = self._frame.unused_data if self._frame.eof else b""

    def _decompress(self, data: bytes) -> bytes:
        try:
            return self._frame.decompress(data, STEP_BYTES)
        except zstd.ZstdError as error:
            raise CorruptData(str(error).rstrip(".")) from None

    def finish(self) -> None:
        """Raise `CorruptData` unless the last frame is complete."""
        if not self._frame.eof:
            raise CorruptData("it ends early")


def _begin_frame() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG}
    )


def _has_zlib_header(data: bytes) -> bool:
    """Whether the data begin with zlib's header; so do one in a thousand raw streams."""
    return data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0


def _decompress(stream: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """Yield the output of `data`, at least one piece. Raises `CorruptData`."""
    while True:
        try:
            piece = stream.decompress(data, STEP_BYTES)
        except zlib.error:
            raise CorruptData("it is corrupt") from None
        yield piece
        data = stream.unconsumed_tail
        # A full piece may leave output behind although all input is read.
        if stream.eof or not (data or len(piece) == STEP_BYTES):
            return
