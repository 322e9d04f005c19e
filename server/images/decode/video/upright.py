"""Turns a video's frames upright, as its display matrix says."""

import math
import struct
from typing import Final

from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from PIL import Image

from llava_spec.anyres import Size

# A display matrix is of 3 x 3 numbers, of which these turn, mirror and scale.
MATRIX: Final = struct.Struct("=ii4xii")
QUARTER_DEG: Final = 90

# Whether a frame is first flipped upside down, and how often it is then turned right.
Orientation = tuple[bool, int]


def read_orientation(frame: VideoFrame) -> Orientation:
    """Return how a frame becomes upright: one of the eight ways that keep it a rectangle.

    Those are followed as FFmpeg's command line does. An angle between them becomes the nearest,
    and a matrix that leaves no area is none.
    """
    try:
        # By `frame.side_data` a frame would hold itself, and its memory, until Python collects it.
        side_data = SideDataContainer(frame)  # type: ignore[call-arg]
    except ValueError:  # PyAV cannot list all kinds of data
        return False, round(-frame.rotation / QUARTER_DEG) % 4
    data = side_data.get(Type.DISPLAYMATRIX)
    if data is None or len(matrix := bytes(data)) < MATRIX.size:
        return False, 0
    return _orient(*MATRIX.unpack_from(matrix))


def _orient(a: int, b: int, c: int, d: int) -> Orientation:
    """Return the orientation of a matrix that takes (x, y) to (a x + c y, b x + d y)."""
    area = a * d - b * c
    if not area:
        return False, 0
    # As av_display_rotation_get: each axis by its own scale, and whole degrees.
    angle = math.degrees(math.atan2(b / math.hypot(b, d), a / math.hypot(a, c)))
    return area < 0, round(round(angle) / QUARTER_DEG) % 4


def measure_upright(frame: VideoFrame) -> Size:
    """Return a frame's (width, height) when it is upright."""
    _, turns = read_orientation(frame)
    return (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)


def convert_to_image(frame: VideoFrame) -> Image.Image:
    """Return an upright RGB image."""
    is_flipped, turns = read_orientation(frame)
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    if is_flipped:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return image.rotate(-QUARTER_DEG * turns, expand=True) if turns else image
