"""Images and videos of questions: files become data URLs, URLs are sent as they are."""

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal
from urllib.parse import urlsplit

from server.terminal.errors import UsageError

Kind = Literal["image", "video"]

# Protects memory from endless files; the server has its own limits.
MAX_MIB: Final = 128
MAX_BYTES: Final = MAX_MIB * 1024 * 1024

_IMAGE_SIGNATURES: Final = {
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
_VIDEO_SIGNATURES: Final = {
    "video/mp4": rb"....(ftyp|styp|moov|mdat|wide|free|skip|pnot|uuid)",
    "video/x-matroska": rb"\x1a\x45\xdf\xa3",
    "video/x-msvideo": rb"RIFF....AVI ",
    "video/mp2t": rb"(.{4})?\x47.{187}(.{4})?\x47",
    "video/mpeg": rb"\0\0\x01\xba",
    "video/x-flv": rb"FLV\x01",
    "video/x-ms-asf": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    "video/ogg": rb"OggS",
    "video/x-ivf": rb"DKIF",
    "video/x-yuv4mpeg": rb"YUV4MPEG2 ",
}
# Images that may be animated; /video sends them as videos.
_ANIMATIONS: Final = ("image/gif", "image/webp", "image/png")
_URL: Final = re.compile(r"(https?|file)://|data:", re.IGNORECASE)
_IMAGE_SUFFIXES: Final = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".ico", ".jp2", ".jpeg", ".jpg", ".pgm"),
    *(".png", ".ppm", ".tif", ".tiff", ".webp"),
)
_VIDEO_SUFFIXES: Final = (
    *(".3gp", ".asf", ".avi", ".flv", ".ivf", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
    *(".mpg", ".ogv", ".vob", ".webm", ".wmv", ".y4m"),
)
_MAX_NAME_CHARS: Final = 48


@dataclass(frozen=True, slots=True)
class Attachment:
    """An image or a video: its display name, and the URL that is sent."""

    name: str
    url: str
    kind: Kind = "image"


def is_url(word: str) -> bool:
    """Whether a word is the URL of an image or a video."""
    return _URL.match(word) is not None


def is_file(word: str) -> bool:
    """Whether a word is the path of a file or pipe."""
    return os.path.exists(word) and not os.path.isdir(word)


def expand_user(word: str) -> Path:
    """Return the path that a word means."""
    try:
        return Path(word).expanduser()
    except RuntimeError:  # an unknown user's ~name
        return Path(word)


def has_media_suffix(word: str) -> bool:
    """Whether a word ends with the suffix of an image's or a video's file."""
    return word.lower().endswith((*_IMAGE_SUFFIXES, *_VIDEO_SUFFIXES))


def open_attachment(word: str, kind: Kind | None = None) -> Attachment:
    """Return a URL unchanged, or read a file. Raises `UsageError`.

    Without a `kind` a file's content says whether it is a video, and a URL's media type or suffix.
    """
    if is_url(word):
        return Attachment(_shorten(word), word, kind or _guess_kind(word))
    path = expand_user(word)
    try:
        with path.open("rb") as file:
            return read_attachment(path.name, file, kind)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise UsageError(f"cannot read {word}: {reason or error}") from None


def read_attachment(name: str, file: BinaryIO, kind: Kind | None = None) -> Attachment:
    """Read an image or a video. Raises `UsageError` if it is too large, or neither."""
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name} is larger than {MAX_MIB} MiB")
    if not data:
        raise UsageError(f"{name} is empty")
    image, video = _detect(_IMAGE_SIGNATURES, data), _detect(_VIDEO_SIGNATURES, data)
    if kind == "video" and image in _ANIMATIONS:
        image, video = None, image
    found: Kind = "image" if image else "video"
    media_type = image or video
    if media_type is None:
        raise UsageError(f"{name} is not {_describe(kind)}")
    if kind is not None and found != kind:
        raise UsageError(f"{name} is not {_describe(kind)}: /{found} attaches it")
    url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    return Attachment(name, url, found)


def _describe(kind: Kind | None) -> str:
    image, video = "an image (JPEG, PNG, WebP, HEIC …)", "a video (MP4, WebM, MKV …)"
    return {"image": image, "video": video, None: f"{image} or {video}"}[kind]


def _guess_kind(url: str) -> Kind:
    """Tell by media type or suffix; the server looks at the content itself."""
    if url[:5].lower() == "data:":
        return "video" if url[5:11].lower() == "video/" else "image"
    try:
        path = urlsplit(url).path
    except ValueError:  # a malformed host, which the server refuses
        path = url
    return "video" if path.lower().endswith(_VIDEO_SUFFIXES) else "image"


def _shorten(url: str) -> str:
    return url if len(url) <= _MAX_NAME_CHARS else f"{url[: _MAX_NAME_CHARS - 1]}…"


def _detect(signatures: Mapping[str, bytes], data: bytes) -> str | None:
    """Return the media type whose signature the data begin with."""
    return next((each for each, start in signatures.items() if _begins(data, start)), None)


def _begins(data: bytes, signature: bytes) -> bool:
    return re.match(signature, data, re.DOTALL) is not None
