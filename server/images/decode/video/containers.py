"""The containers and codecs of videos that are accepted, detected by content.

A container is opened by its own demuxer only, so FFmpeg never guesses one. Playlists (HLS, DASH,
concat) and others that lead to further files have no magic number here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from server.images.decode.icon import PNG_SIGNATURE

# The first box of a file of ISO's format or QuickTime's. Boxes of others' may precede it.
ISO_BOXES: Final = frozenset(
    {b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
)
FOREIGN_BOX: Final = b"uuid"
UUID_BYTES: Final = 16
MAX_FOREIGN_BOXES: Final = 16
# A transport stream's packets begin with this byte; on Blu-ray 4 bytes of time are before it.
TS_SYNC: Final = 0x47
TS_LAYOUTS: Final = ((0, 188), (4, 192))
# A PNG's chunk of animation is looked for in so many bytes: only metadata may precede it.
MAX_PNG_HEAD_BYTES: Final = 1024 * 1024

# FFmpeg's names of codecs.
CODECS: Final = frozenset(
    {
        *("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg1video", "mpeg2video", "h263"),
        *("mjpeg", "ffv1", "png", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "qtrle"),
        *("prores", "dnxhd", "dvvideo", "cfhd", "theora", "flv1", "vp6", "vp6f", "svq3"),
        *("msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2", "wmv3", "vc1"),
    }
)


@dataclass(frozen=True, slots=True)
class Container:
    """A container: its name in settings, FFmpeg's demuxer, None for Pillow, and its magic."""

    name: str
    demuxer: str | None
    has_magic: Callable[[bytes], bool]


def _starts_with(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(magics)


def _is_iso(data: bytes) -> bool:
    start = 0
    for _ in range(1 + MAX_FOREIGN_BOXES):
        length = int.from_bytes(data[start : start + 4])
        if data[start + 4 : start + 8] != FOREIGN_BOX:
            return data[start + 4 : start + 8] in ISO_BOXES
        if length == 1:  # a longer one follows
            length = int.from_bytes(data[start + 8 : start + 16])
        if length < 8 + UUID_BYTES:
            return False
        start += length
    return False


def _is_transport_stream(data: bytes) -> bool:
    return any(
        [data[start + step * i : start + step * i + 1] for i in range(3)] == 3 * [bytes([TS_SYNC])]
        for start, step in TS_LAYOUTS
    )


def _is_apng(data: bytes) -> bool:
    """Whether a PNG's chunk of animation precedes its pixels."""
    if not data.startswith(PNG_SIGNATURE):
        return False
    return b"acTL" in data[:MAX_PNG_HEAD_BYTES].partition(b"IDAT")[0]


CONTAINERS: Final = (
    Container("mp4", "mov", _is_iso),
    Container("matroska", "matroska", _starts_with(b"\x1a\x45\xdf\xa3")),
    Container("avi", "avi", lambda data: data[:4] == b"RIFF" and data[8:12] == b"AVI "),
    Container("mpegts", "mpegts", _is_transport_stream),
    Container("mpeg", "mpeg", _starts_with(b"\x00\x00\x01\xba")),
    Container("flv", "flv", _starts_with(b"FLV\x01")),
    Container("asf", "asf", _starts_with(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11")),
    Container("ogg", "ogg", _starts_with(b"OggS")),
    Container("ivf", "ivf", _starts_with(b"DKIF")),
    Container("y4m", "yuv4mpegpipe", _starts_with(b"YUV4MPEG2 ")),
    Container("mjpeg", "mjpeg", _starts_with(b"\xff\xd8\xff")),
    Container("gif", None, _starts_with(b"GIF87a", b"GIF89a")),
    Container("webp", None, lambda data: data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X"),
    Container("apng", None, _is_apng),
)


def detect_container(data: bytes, names: Sequence[str]) -> Container | None:
    """Return which of the containers the bytes are, None if they are none of them."""
    return next((each for each in CONTAINERS if each.name in names and each.has_magic(data)), None)
