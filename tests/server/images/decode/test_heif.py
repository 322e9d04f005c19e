"""HEIC pictures of phones: orientation, alpha, several pictures, bombs and damage."""

import struct

import pytest

from server.images.decode.decode import (
    DecodedImage,
    DecodeFailure,
    DecodeFault,
    DecodeOptions,
    decode,
)
from server.images.decode.heif import HAS_HEIF, has_hevc_brand
from server.images.decode.image_processor import Pixels
from tests.heics import HEICS, HEIGHT, WIDTH
from tests.server.images.decode.decoding import PAD, expect_failure

pytestmark = pytest.mark.skipif(not HAS_HEIF, reason="the plugin is not installed")

SQUARE = DecodeOptions(32, "square", 10**6)
RED, GREEN, BLUE = (200, 30, 60), (30, 180, 60), (30, 60, 200)


def decode_heic(name: str, options: DecodeOptions = PAD) -> DecodedImage:
    result = decode(HEICS[name], options)
    assert isinstance(result, DecodedImage), result
    assert result.format == "HEIF"
    return result


def shows(pixels: Pixels, x: int, y: int, color: tuple[int, int, int]) -> bool:
    return max(abs(int(a) - b) for a, b in zip(pixels[y, x], color, strict=True)) < 12


def test_a_picture() -> None:
    result = decode_heic("plain", DecodeOptions(96, "pad", 10**6))
    assert result.image_size == (WIDTH, HEIGHT)
    assert result.total_frames == 1
    view = result.views[0]
    assert shows(view, 8, 22, GREEN)
    assert shows(view, 8, 70, RED)
    assert shows(view, 90, 70, BLUE)


def test_a_picture_is_turned_once() -> None:
    result = decode_heic("rotated", DecodeOptions(96, "pad", 10**6))
    assert result.image_size == (HEIGHT, WIDTH)
    view = result.views[0]
    assert shows(view, 74, 6, GREEN)
    assert shows(view, 24, 6, RED)
    assert shows(view, 48, 90, BLUE)


def test_alpha_is_composited() -> None:
    view = decode_heic("alpha", SQUARE).views[0]
    assert min(view[0, 20]) > 230
    assert shows(view, 2, 31, RED)


def test_only_the_first_of_two_pictures_is_decoded() -> None:
    result = decode_heic("two", DecodeOptions(96, "pad", 10**6, animated_images="refuse"))
    assert result.total_frames == 2
    assert result.image_size == (WIDTH, HEIGHT)
    refused = DecodeOptions(96, "pad", 10**6, max_frames=1)
    assert expect_failure(HEICS["two"], refused).fault is DecodeFault.FRAMES


def test_grey_levels() -> None:
    view = decode_heic("grey", SQUARE).views[0]
    assert (view == view[..., :1]).all()


def test_a_truncated_picture_is_refused() -> None:
    for name in ("plain", "rotated", "alpha", "grey"):
        data = HEICS[name]
        for end in range(24, len(data), 7):
            assert expect_failure(data[:end]).fault is DecodeFault.CORRUPT


def test_the_size_is_checked_before_the_picture_is_opened() -> None:
    data = HEICS["plain"]
    # The size of the coded picture, which the one shown is cut out of.
    at = data.index(b"ispe") + 8
    bomb = data[:at] + struct.pack(">2I", 60_000, 50_000) + data[at + 8 :]
    assert expect_failure(bomb) == DecodeFailure(DecodeFault.PIXELS, 60_000, 50_000)
    small = DecodeOptions(96, "pad", WIDTH * HEIGHT - 1)
    assert expect_failure(data, small).fault is DecodeFault.PIXELS


def test_a_picture_larger_than_its_file_says_is_refused() -> None:
    data = HEICS["plain"]
    at = data.index(b"ispe") + 8
    for size in ((8, 8), (600, 600)):
        damaged = data[:at] + struct.pack(">2I", *size) + data[at + 8 :]
        assert expect_failure(damaged).fault is DecodeFault.CORRUPT


def test_brands() -> None:
    assert has_hevc_brand(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic")
    assert not has_hevc_brand(b"\0\0\0\x18ftypmif1\0\0\0\0mif1miaf")
    assert not has_hevc_brand(b"\0\0\0\x14ftypmif1\0\0\0\0mif1heic")
