"""Frames are turned upright by the file's display matrix."""

import gc
import io
import struct
import sys
from itertools import product

import av
import numpy as np
import pytest

from server.images.decode.video.upright import convert_to_image, read_orientation
from tests.server.images.decode.video.clips import SIZE, encode_clip, make_grey
from tests.server.images.decode.video.test_decode import decode

RED = [255, 0, 0]
# Of the view of a frame: what is red in it before it is turned, and its corners, as (x, y).
TOP_LEFT = (-1, -1)
CORNERS = {(x, y): (24 + 19 * y, 24 + 19 * x) for x, y in product((-1, 1), repeat=2)}
# (a, b, c, d) take (x, y) to (a x + c y, b x + d y).
EIGHT_MATRICES = [
    (x, 0, 0, y) if is_straight else (0, x, y, 0)
    for is_straight, x, y in product((True, False), (1, -1), (1, -1))
]
ODD_MATRICES = [(0, 0, 0, 0), (1, 0, 1, 0), (0, 0, 0, 1), (0.94, 0.34, -0.34, 0.94)]


def encode_turned(*matrix: float) -> bytes:
    """Return a video whose frames are red at the top left, with a display matrix."""
    frame = make_grey(0)
    frame[:24, :32] = RED
    data = bytearray(encode_clip([frame] * 2, "mov", "png", "rgb24"))
    start = data.index(b"tkhd") + 44
    a, b, c, d = (round(value * 2**16) for value in matrix)
    struct.pack_into(">9i", data, start, a, b, 0, c, d, 0, 0, 0, 2**30)
    return bytes(data)


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("matrix", EIGHT_MATRICES)
def test_frames_are_turned_and_mirrored(matrix: tuple[int, ...], scale: int) -> None:
    a, b, c, d = matrix
    decoded = decode(encode_turned(*(scale * value for value in matrix)))
    assert decoded.frame_size == (SIZE if a else SIZE[::-1])
    x, y = TOP_LEFT
    red = (a * x + c * y, b * x + d * y)
    view = decoded.views[0]
    assert [corner for corner in CORNERS if view[CORNERS[corner]].tolist() == RED] == [red]


@pytest.mark.parametrize("matrix", ODD_MATRICES)
def test_no_matrix_is_no_turn_and_odd_angles_are_the_nearest_quarter(
    matrix: tuple[float, ...],
) -> None:
    decoded = decode(encode_turned(*matrix))
    assert decoded.frame_size == SIZE
    np.testing.assert_array_equal(decoded.views, decode(encode_turned(1, 0, 0, 1)).views)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_rotation_is_counterclockwise(rotation: int) -> None:
    frame = make_grey(0)
    frame[:24, :32] = RED
    data = encode_clip([frame] * 2, "mov", "png", "rgb24", rotation=rotation)
    decoded = decode(data)
    assert decoded.frame_size == (SIZE if rotation % 180 == 0 else SIZE[::-1])
    corners = {0: (4, 4), 90: (43, 4), 180: (43, 43), 270: (4, 43)}
    assert decoded.views[0][corners[rotation]].tolist() == RED


def test_a_frame_is_freed_after_it_is_converted() -> None:
    with av.open(io.BytesIO(encode_turned(0, 1, -1, 0)), "r") as container:
        frame = next(container.decode(video=0))
    assert read_orientation(frame) == (False, 1)
    count = sys.getrefcount(frame)
    gc.disable()
    try:
        convert_to_image(frame)
        assert sys.getrefcount(frame) == count
    finally:
        gc.enable()
