"""How long animated GIFs, WebPs and PNGs last: read from their structure, without decoding."""

import struct
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final

from server.images.decode.containers import iterate_png_chunks, read_gif_delays

# What browsers take for a frame that has no duration of its own, in seconds.
DEFAULT_DURATION_S: Final = 0.1
# A PNG's delay is a fraction, of this where its denominator is 0.
PNG_DENOMINATOR: Final = 100


def measure_duration(data: bytes, image_format: str, num_frames: int) -> float:
    """Return the seconds that the first `num_frames` frames last; `image_format` is Pillow's."""
    durations = islice(_READERS[image_format](data), num_frames)
    return sum(each or DEFAULT_DURATION_S for each in durations)


def _read_gif_durations(data: bytes) -> Iterator[float]:
    return (delay / 100 for delay in read_gif_delays(data, len(data)))


def _read_png_durations(data: bytes) -> Iterator[float]:
    for chunk_type, start in iterate_png_chunks(data):
        delay = data[start + 20 : start + 24]
        if chunk_type == b"fcTL" and len(delay) == 4:
            numerator, denominator = struct.unpack(">HH", delay)
            yield numerator / (denominator or PNG_DENOMINATOR)


def _read_webp_durations(data: bytes) -> Iterator[float]:
    position = 12  # behind RIFF, its length, and WEBP
    while position + 8 <= len(data):
        chunk_type, length = struct.unpack_from("<4sI", data, position)
        if chunk_type == b"ANMF":
            # Before it: the frame's place and size, four numbers of 3 bytes.
            yield int.from_bytes(data[position + 20 : position + 23], "little") / 1000
        position += 8 + length + length % 2


_READERS: Final[Mapping[str, Callable[[bytes], Iterator[float]]]] = {
    "GIF": _read_gif_durations,
    "PNG": _read_png_durations,
    "WEBP": _read_webp_durations,
}
