"""Truncated, damaged and oversized files are refused, without an exception."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from server.images.decode.decode import (
    DecodedImage,
    DecodeFailure,
    DecodeFault,
    DecodeOptions,
    decode,
)
from tests.mutation import build_seed_images
from tests.server.images.decode.decoding import (
    PAD,
    WRITABLE_FORMATS,
    decode_views,
    expect_failure,
)
from tests.server.pictures import encode_image, make_noise

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "JPEG": ("JPEG", {}),
    "progressive": ("JPEG", {"progressive": True}),
    "PNG": ("PNG", {}),
    "WebP": ("WEBP", {}),
    "lossless": ("WEBP", {"lossless": True}),
    "GIF": ("GIF", {}),
    "BMP": ("BMP", {}),
    "TIFF": ("TIFF", {}),
    "LZW": ("TIFF", {"compression": "tiff_lzw"}),
    "AVIF": ("AVIF", {}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_truncated_file_is_refused_unless_all_pixels_are_there(variant: str) -> None:
    image_format, options = VARIANTS[variant]
    data = encode_image(make_noise(61, 40), image_format, **options)
    complete_views = decode_views(data)
    assert np.array_equal(decode_views(data + b"trailing garbage"), complete_views)
    last = [len(data) - missing for missing in range(1, 8)]
    for end in [*(len(data) * part // 20 for part in range(1, 20)), *last]:
        result = decode(data[:end], PAD)
        if isinstance(result, DecodedImage):  # only the end marker is missing
            assert end in last
            assert np.array_equal(result.views, complete_views)
        else:
            assert result.fault is DecodeFault.CORRUPT


def test_an_animation_truncated_behind_its_first_frame_is_decoded() -> None:
    frames = [make_noise(20, 16, seed) for seed in range(3)]
    data = encode_image(frames[0], "GIF", save_all=True, append_images=frames[1:])
    result = decode(data[: len(data) // 2], PAD)
    assert isinstance(result, DecodedImage)
    assert result.total_frames == 1
    assert np.array_equal(result.views, decode_views(data))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF"])
def test_the_failure_of_a_truncated_file_has_its_size(image_format: str) -> None:
    data = encode_image(make_noise(120, 90), image_format)
    assert expect_failure(data[: len(data) // 2]) == DecodeFailure(DecodeFault.CORRUPT, 120, 90)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"hello, I am not an image",
        b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        b"%PDF-1.7",
        b"RIFF\x00\x00\x00\x00WEBP",
        b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1miaf",
        b"P5, Python",
        b"\0\0\2\0",
        np.random.default_rng(0).bytes(5000),
    ],
    ids=lambda data: repr(data[:8]),
)
def test_unsupported_formats(data: bytes) -> None:
    assert expect_failure(data) == DecodeFailure(DecodeFault.FORMAT)


@pytest.mark.parametrize(
    "data",
    [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"RIFF\0\0\0\0WEBPVP8 "],
)
def test_a_magic_number_alone_is_a_corrupt_image(data: bytes) -> None:
    assert expect_failure(data) == DecodeFailure(DecodeFault.CORRUPT)
    assert expect_failure(data + bytes(100)).fault is DecodeFault.CORRUPT


@settings(max_examples=150)
@given(st.binary(max_size=300), st.sampled_from(["", *WRITABLE_FORMATS]))
def test_random_bytes_never_raise(random_bytes: bytes, image_format: str) -> None:
    magic = encode_image(Image.new("RGB", (4, 4)), image_format)[:24] if image_format else b""
    assert isinstance(decode(magic + random_bytes, PAD), DecodeFailure | DecodedImage)


SMALL = build_seed_images()


@settings(max_examples=300)
@given(st.sampled_from(SMALL), st.data())
def test_damaged_bytes_never_raise(image: bytes, data: st.DataObject) -> None:
    damaged = bytearray(image)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    result = decode(bytes(damaged), DecodeOptions(96, "pad", 1_000_000))
    assert isinstance(result, DecodeFailure | DecodedImage)


@pytest.mark.parametrize("image_format", WRITABLE_FORMATS)
def test_the_pixel_limit_is_exact_and_needs_only_the_header(image_format: str) -> None:
    data = encode_image(Image.new("RGB", (300, 200)), image_format)
    assert isinstance(decode(data, DecodeOptions(96, "pad", 60_000)), DecodedImage)
    refused = DecodeFailure(DecodeFault.PIXELS, 300, 200)
    assert expect_failure(data, DecodeOptions(96, "pad", 59_999)) == refused
    if image_format not in ("AVIF", "TGA"):  # whose readers need the complete file
        header = data[: max(40, len(data) // 2)]
        assert expect_failure(header, DecodeOptions(96, "pad", 59_999)) == refused


def test_huge_tiles_of_a_small_tiff_are_refused() -> None:
    data = encode_image(Image.new("L", (8, 8)), "TIFF", tiffinfo={305: "x", 315: "y"})
    for text, tile in ((305, 322), (315, 323)):
        at = data.index(struct.pack("<HHI", text, 2, 2))
        data = data[:at] + struct.pack("<HHII", tile, 4, 1, 60_000) + data[at + 12 :]
    assert expect_failure(data) == DecodeFailure(DecodeFault.PIXELS, 8, 8)


def test_a_webp_with_a_huge_canvas_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.images.decode.decode.open_image", None)
    data = encode_image(Image.new("RGB", (300, 200)), "WEBP")
    assert expect_failure(data, DecodeOptions(96, "pad", 59_999)) == DecodeFailure(
        DecodeFault.PIXELS, 300, 200
    )


@pytest.mark.parametrize("error", [MemoryError(), OSError("out of memory error when reading")])
def test_a_lack_of_memory_is_a_fault_of_its_own(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("server.images.decode.decode.convert_to_rgb", fail)
    assert expect_failure(encode_image(make_noise(8, 6))) == DecodeFailure(DecodeFault.MEMORY, 8, 6)


def test_an_image_too_oblong_to_crop_is_refused() -> None:
    data = encode_image(Image.new("1", (5000, 1)))
    limit = 24 * 24 * 5000
    assert isinstance(decode(data, DecodeOptions(24, "square", limit)), DecodedImage)
    refused = expect_failure(data, DecodeOptions(24, "square", limit - 1))
    assert refused == DecodeFailure(DecodeFault.SHAPE, 5000, 1)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1)])
def test_a_line_that_would_be_padded_to_a_huge_square_is_refused(size: tuple[int, int]) -> None:
    data = encode_image(Image.new("RGB", size))
    limit = 5000 * 5000 // 100
    assert isinstance(decode(data, DecodeOptions(24, "pad", limit)), DecodedImage)
    refused = expect_failure(data, DecodeOptions(24, "pad", limit - 1))
    assert refused == DecodeFailure(DecodeFault.SHAPE, *size)


def test_our_limit_of_pixels_is_the_only_one() -> None:
    """Pillow refuses 179 megapixels and more by itself."""
    data = encode_image(Image.new("1", (14_000, 13_000)))
    failure = expect_failure(data, DecodeOptions(24, "square", 10**6))
    assert failure == DecodeFailure(DecodeFault.PIXELS, 14_000, 13_000)
