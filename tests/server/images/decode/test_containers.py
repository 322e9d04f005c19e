"""Counting frames and pages without decoding any."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from server.images.decode.containers import count_frames, count_gif_frames, count_tiff_pages
from server.images.decode.decode import (
    DecodedImage,
    DecodeFailure,
    DecodeFault,
    DecodeOptions,
    decode,
)
from tests.server.pictures import encode_image, make_noise

OPTIONS = DecodeOptions(24, "pad", 10**6)
MULTI_FRAME_FORMATS = ["GIF", "PNG", "WEBP", "AVIF", "TIFF", "MPO"]


def encode_animation(image_format: str, count: int) -> bytes:
    """Encode `count` frames of different pixels."""
    frames = [make_noise(20, 16, seed) for seed in range(count)]
    return encode_image(frames[0], image_format, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("image_format", MULTI_FRAME_FORMATS)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_frames_are_counted(image_format: str, count: int) -> None:
    result = decode(encode_animation(image_format, count), OPTIONS)
    assert isinstance(result, DecodedImage)
    assert result.total_frames == count
    assert result.format == ("JPEG" if image_format == "MPO" else image_format)


@pytest.mark.parametrize("image_format", MULTI_FRAME_FORMATS)
def test_the_limit_on_frames_is_exact(image_format: str) -> None:
    data = encode_animation(image_format, 4)
    four = DecodeOptions(24, "pad", 10**6, max_frames=4)
    three = DecodeOptions(24, "pad", 10**6, max_frames=3)
    assert isinstance(decode(data, four), DecodedImage)
    assert decode(data, three) == DecodeFailure(DecodeFault.FRAMES, 20, 16)


@pytest.mark.parametrize("image_format", MULTI_FRAME_FORMATS)
def test_animations_may_be_refused(image_format: str) -> None:
    refuse = DecodeOptions(24, "pad", 10**6, animated_images="refuse")
    assert isinstance(decode(encode_animation(image_format, 1), refuse), DecodedImage)
    result = decode(encode_animation(image_format, 2), refuse)
    if image_format in ("TIFF", "MPO"):  # pages and views are not an animation
        assert isinstance(result, DecodedImage)
    else:
        assert result == DecodeFailure(DecodeFault.ANIMATED, 20, 16)


def test_counting_stops_beyond_the_limit() -> None:
    gif = encode_animation("GIF", 3)
    assert count_gif_frames(gif + b"rest", 1000) == 3
    assert count_gif_frames(gif, 1) == 2
    assert count_gif_frames(gif[: len(gif) // 6], 1000) == 0
    assert count_tiff_pages(encode_animation("TIFF", 3), 1) == 2


def test_a_loop_of_pages_ends() -> None:
    directory = struct.pack("<HI", 0, 8)
    assert count_tiff_pages(b"II*\0" + struct.pack("<I", 8) + directory, 1000) == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_pages_of_a_big_tiff(order: str) -> None:
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HHHQ", 43, 8, 0, 16)
    first = struct.pack(order + "Q20sQ", 1, b"", 52)
    assert count_tiff_pages(head + first + struct.pack(order + "QQ", 0, 0), 10) == 2


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_counted(data: bytes) -> None:
    assert 0 <= count_gif_frames(b"GIF89a" + data, 9) <= 10
    assert 1 <= count_tiff_pages(b"II*\0" + data, 9) <= 10


def test_a_still_image_is_one_frame() -> None:
    data = encode_image(make_noise(4, 4))
    with Image.open(io.BytesIO(data)) as image:
        assert count_frames(data, image, "PNG", 10) == 1
