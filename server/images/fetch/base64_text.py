"""Base64 as clients write it: in lines, without padding, URL-safe or percent-encoded."""

from collections.abc import Iterator
from typing import Final

import pybase64

# What encoders of URLs escape.
ESCAPES: Final = {
    **dict.fromkeys((b"%2B", b"%2b"), b"+"),
    **dict.fromkeys((b"%2F", b"%2f"), b"/"),
    **dict.fromkeys((b"%3D", b"%3d"), b"="),
    **dict.fromkeys((b"%0D", b"%0d", b"%0A", b"%0a", b"%09", b"%20"), b"\n"),
    **dict.fromkeys((b"%2D", b"%2d"), b"-"),
    **dict.fromkeys((b"%5F", b"%5f"), b"_"),
}
# Of escaped text at once: other threads wait for each replacement to end.
CHUNK: Final = 1024 * 1024
WHITE_SPACE: Final = b" \t\r\n\f\v"
URL_SAFE_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


def decode_base64(text: str | bytes) -> bytes | None:
    """Decode strict base64, at the speed of a copy; None for any other text."""
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        return None


def clean_base64(text: str) -> bytes | None:
    """Return the text as strict base64, None if it is not ASCII or its end is not base64's.

    A few passes over the text, each at the speed of a copy. Other characters are left to
    `decode_base64`.
    """
    if not text.isascii():
        return None
    data = text.encode("ascii")
    if b"%" in data:
        data = b"".join(_unescape(chunk) for chunk in _split_between_escapes(data))
    data = data.translate(URL_SAFE_TO_STANDARD, WHITE_SPACE)
    unpadded = data.rstrip(b"=")
    padding = b"=" * (-len(unpadded) % 4)
    is_sound = len(padding) < 3 and len(data) - len(unpadded) <= len(padding)
    return unpadded + padding if is_sound else None


def _split_between_escapes(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = start + CHUNK
        for _ in range(2):  # an escape is three characters long
            end += b"%" in data[end - 2 : end]
        yield data[start:end]
        start = end


def _unescape(data: bytes) -> bytes:
    for escape, character in ESCAPES.items():
        data = data.replace(escape, character)
    return data


def estimate_num_bytes(text: str | bytes) -> int:
    """Return the number of bytes that strict base64 decodes to."""
    padding = text[-2:].count("=") if isinstance(text, str) else text[-2:].count(b"=")
    return len(text) * 3 // 4 - padding
