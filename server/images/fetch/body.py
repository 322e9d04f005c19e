"""Reads a response's body within a byte limit, checked on arrival and on decompression."""

import asyncio
import zlib
from typing import Final

import httpx

from server.images.fetch.errors import DataTooLarge, FetchFailed

# zlib detects whether the header is gzip's or zlib's.
GZIP_OR_ZLIB_WBITS: Final = zlib.MAX_WBITS | 32
RAW_DEFLATE_WBITS: Final = -zlib.MAX_WBITS
SUPPORTED_ENCODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})


def check_num_bytes(num_bytes: int, max_bytes: int) -> None:
    """Raise `DataTooLarge` for more than `max_bytes`."""
    if num_bytes > max_bytes:
        raise DataTooLarge(f"The data exceeds the limit of {max_bytes} bytes; send a smaller file.")


async def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """Return at most `max_bytes`. Raises `DataTooLarge`, `FetchFailed` or httpx's errors."""
    encoding = _read_content_encoding(response)
    check_num_bytes(_read_content_length(response), max_bytes)
    data = await _read_raw(response, max_bytes)
    if not encoding:
        return data
    return await asyncio.to_thread(_decompress, data, encoding, max_bytes)


async def _read_raw(response: httpx.Response, max_bytes: int) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        check_num_bytes(len(data), max_bytes)
    return bytes(data)


def _read_content_length(response: httpx.Response) -> int:
    text = response.headers.get("content-length", "")
    # The HTTP library has refused invalid numbers. int() is slow for very many digits.
    return int(text[:20]) if text.isascii() and text.isdigit() else 0


def _read_content_encoding(response: httpx.Response) -> str:
    """Return the content encoding, "" for none. Servers may compress although we ask for none."""
    header = response.headers.get("content-encoding", "").lower()
    names: list[str] = [name.strip() for name in header.split(",")]
    encodings = [name for name in names if name not in ("", "identity")]
    if not encodings:
        return ""
    if len(encodings) > 1 or encodings[0] not in SUPPORTED_ENCODINGS:
        raise FetchFailed("The URL's server sent a content encoding nobody asked for.")
    return encodings[0]


def _decompress(data: bytes, encoding: str, max_bytes: int) -> bytes:
    is_raw = encoding == "deflate" and not _has_zlib_header(data)
    decompressor = zlib.decompressobj(RAW_DEFLATE_WBITS if is_raw else GZIP_OR_ZLIB_WBITS)
    try:
        decompressed = decompressor.decompress(data, max_bytes + 1)
    except zlib.error:
        raise _build_encoding_error() from None
    check_num_bytes(len(decompressed), max_bytes)
    if not decompressor.eof:
        raise _build_encoding_error()
    return decompressed


def _has_zlib_header(data: bytes) -> bool:
    return len(data) > 1 and data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0  # RFC 1950


def _build_encoding_error() -> FetchFailed:
    return FetchFailed("The URL's server sent a broken content encoding.")
