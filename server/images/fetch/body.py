"""A response's body under a limit of bytes, counted as they arrive and again as they unpack."""

import asyncio
import zlib
from typing import Final

import httpx

from server.errors import ImageFetchFailed
from server.images.fetch.refusals import refuse_too_many_bytes

# For zlib: find out whether it is gzip's or zlib's header, or that there is none.
ANY_HEADER: Final = zlib.MAX_WBITS | 32
NO_HEADER: Final = -zlib.MAX_WBITS
PACKED: Final = frozenset({"gzip", "x-gzip", "deflate"})


async def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """Return at most `max_bytes`. Raises `ImageTooLarge`, `ImageFetchFailed` or httpx's errors."""
    encoding = _encoding(response)
    if _announced(response) > max_bytes:
        raise refuse_too_many_bytes(max_bytes)
    data = await _read(response, max_bytes)
    if not encoding:
        return data
    return await asyncio.to_thread(_unpack, data, encoding, max_bytes)


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        if len(data) > max_bytes:
            raise refuse_too_many_bytes(max_bytes)
    return bytes(data)


def _announced(response: httpx.Response) -> int:
    text = response.headers.get("content-length", "")
    # What is no number the HTTP library has refused; one of very many digits is not for int().
    return int(text[:20]) if text.isascii() and text.isdigit() else 0


def _encoding(response: httpx.Response) -> str:
    """Return how the body is packed although nobody asked for it, "" where it is not."""
    header = response.headers.get("content-encoding", "").lower()
    names: list[str] = [name.strip() for name in header.split(",")]
    packings = [name for name in names if name not in ("", "identity")]
    if not packings:
        return ""
    if len(packings) > 1 or packings[0] not in PACKED:
        raise ImageFetchFailed("The image's server sent a content encoding nobody asked for.")
    return packings[0]


def _unpack(data: bytes, encoding: str, max_bytes: int) -> bytes:
    bare = encoding == "deflate" and not _has_zlib_header(data)
    unpacking = zlib.decompressobj(NO_HEADER if bare else ANY_HEADER)
    try:
        unpacked = unpacking.decompress(data, max_bytes + 1)
    except zlib.error:
        raise _broken() from None
    if len(unpacked) > max_bytes:
        raise refuse_too_many_bytes(max_bytes)
    if not unpacking.eof:
        raise _broken()
    return unpacked


def _has_zlib_header(data: bytes) -> bool:
    return len(data) > 1 and data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0  # RFC 1950


def _broken() -> ImageFetchFailed:
    return ImageFetchFailed("The image's server sent a broken content encoding.")
