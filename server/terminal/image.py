"""Images of questions: files become data URLs, URLs are sent as they are."""

import base64
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from server.terminal.errors import UsageError

# Protects the memory from endless files; the server has its own limits.
MAX_MIB: Final = 128
MAX_BYTES: Final = MAX_MIB * 1024 * 1024

_SIGNATURES: Final = {
    "image/jpeg": rb"\xff\xd8\xff",
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/webp": rb"RIFF....WEBP",
    "image/gif": rb"GIF8[79]a",
    "image/bmp": rb"BM",
    "image/tiff": rb"II\*\0|MM\0\*",
    "image/avif": rb"....ftypavi[fs]",
    "image/heic": rb"....ftyp(he[iv][cmsx]|mif1|msf1)",
    "image/jp2": rb"\0\0\0\x0cjP  |\xffO\xffQ",
    "image/vnd.microsoft.icon": rb"\0\0\x01\0",
    "image/x-portable-anymap": rb"P[1-6f]\s",
}
_URL: Final = re.compile(r"(https?|file)://|data:", re.IGNORECASE)
_SUFFIXES: Final = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".ico", ".jp2", ".jpeg", ".jpg", ".pgm"),
    *(".png", ".ppm", ".tif", ".tiff", ".webp"),
)
_MAX_NAME_CHARS: Final = 48


@dataclass(frozen=True, slots=True)
class AttachedImage:
    """An image's display name and the URL that is sent."""

    name: str
    url: str


def is_url(word: str) -> bool:
    """Whether a word is an image's URL."""
    return _URL.match(word) is not None


def is_file(word: str) -> bool:
    """Whether a word is the path of a file or pipe."""
    return os.path.exists(word) and not os.path.isdir(word)


def has_image_suffix(word: str) -> bool:
    """Whether a word ends with the suffix of an image file."""
    return word.lower().endswith(_SUFFIXES)


def open_image(word: str) -> AttachedImage:
    """Return a URL unchanged, or read a file. Raises `UsageError`."""
    if is_url(word):
        return AttachedImage(
            word if len(word) <= _MAX_NAME_CHARS else f"{word[: _MAX_NAME_CHARS - 1]}…", word
        )
    path = Path(word).expanduser()
    try:
        with path.open("rb") as file:
            return read_image(path.name, file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise UsageError(f"cannot read the image {word}: {reason or error}") from None


def read_image(name: str, file: BinaryIO) -> AttachedImage:
    """Read an image. Raises `UsageError` if it is too large or no image."""
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UsageError(f"the image {name} is larger than {MAX_MIB} MiB")
    if not data:
        raise UsageError(f"the image {name} is empty")
    kind = next((kind for kind, start in _SIGNATURES.items() if _has_signature(start, data)), None)
    if kind is None:
        raise UsageError(f"{name} is no image of a known format, such as JPEG, PNG, WebP or HEIC")
    return AttachedImage(name, f"data:{kind};base64,{base64.b64encode(data).decode()}")


def _has_signature(signature: bytes, data: bytes) -> bool:
    return re.match(signature, data, re.DOTALL) is not None
