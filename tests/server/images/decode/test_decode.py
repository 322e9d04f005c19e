"""Decoding every format and mode to the views that the checkpoint was trained with."""

import io
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from llava_spec.image_settings import AspectRatio
from server.images.decode.decode import (
    DecodedImage,
    DecodeFailure,
    DecodeOptions,
    decode,
)
from server.images.decode.image_processor import preprocess
from tests.server.images.decode.decoding import (
    ANYRES,
    BASE_VIEW,
    RED,
    SQUARE,
    WRITABLE_FORMATS,
    decode_views,
    max_difference,
)
from tests.server.pictures import FORMATS as COMMON_FORMATS
from tests.server.pictures import encode_image, make_noise, make_photo
from tests.server.released import anyres_views, pinpoints


def test_the_decode_workers_import_no_torch() -> None:
    code = (
        "import sys, server.__main__, server.images.decode.decode;"
        "print([name for name in ('torch', 'transformers', 'vllm', 'fastapi') "
        "if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True, "exact": True}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("JPEG2000", {}),
        ("JPEG2000", {"no_jp2": True}),
        ("PPM", {}),
        ("TGA", {}),
        ("TGA", {"compression": "tga_rle", "orientation": 1}),
    ],
)
@pytest.mark.parametrize("aspect_ratio", ["pad", "square"])
def test_lossless_formats_are_exact(
    image_format: str, options: dict[str, Any], aspect_ratio: Literal["pad", "square"]
) -> None:
    image = make_noise(150, 70)
    decoded = decode_views(
        encode_image(image, image_format, **options), DecodeOptions(96, aspect_ratio, 10**6)
    )
    assert np.array_equal(decoded, preprocess(image, 96, aspect_ratio))


@pytest.mark.parametrize("image_format", WRITABLE_FORMATS)
def test_every_format_is_decoded(image_format: str) -> None:
    image = make_photo(150, 70)
    decoded = decode_views(encode_image(image, image_format))
    # GIF has 256 colours, the others lose detail only.
    assert max_difference(decoded, preprocess(image, 96, "pad")) < (
        60 if image_format == "GIF" else 30
    )


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_decoded(image_format: str) -> None:
    frames = [Image.new("RGB", (40, 40), color) for color in (RED, "lime", "blue")]
    options = {"lossless": True} if image_format == "WEBP" else {}
    data = encode_image(
        frames[0], image_format, save_all=True, append_images=frames[1:], duration=50, **options
    )
    with Image.open(io.BytesIO(data)) as animation:
        assert getattr(animation, "n_frames", 1) == 3
    assert max_difference(decode_views(data), preprocess(frames[0], 96, "pad")) <= 1


def test_the_first_image_of_a_multi_picture_jpeg_is_decoded() -> None:
    large, thumbnail = make_photo(300, 200), Image.new("RGB", (30, 20), "lime")
    data = encode_image(large, "MPO", save_all=True, append_images=[thumbnail], quality=95)
    assert max_difference(decode_views(data), preprocess(large, 96, "pad")) < 10


def make_grey_ramp() -> Image.Image:
    """Return all grey levels from left to right."""
    return Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (64, 1)))


@pytest.mark.parametrize("image_format", COMMON_FORMATS)
def test_grey(image_format: str) -> None:
    grey = make_grey_ramp()
    decoded = decode_views(encode_image(grey, image_format))
    assert max_difference(decoded, preprocess(grey.convert("RGB"), 96, "pad")) <= 8


def test_grey_with_alpha_is_composited_on_white() -> None:
    grey = Image.new("LA", (32, 32), (0, 0))
    grey.paste((40, 255), (0, 0, 16, 32))
    decoded = decode_views(encode_image(grey), SQUARE)[0]
    assert decoded[48, 8].tolist() == [40, 40, 40]
    assert decoded[48, 88].tolist() == [255, 255, 255]


def test_bilevel() -> None:
    black_and_white = Image.new("1", (32, 32), 0)
    black_and_white.paste(1, (16, 0, 32, 32))
    decoded = decode_views(encode_image(black_and_white), SQUARE)[0]
    assert decoded[48, 8].tolist() == [0, 0, 0]
    assert decoded[48, 88].tolist() == [255, 255, 255]


def test_palette() -> None:
    image = Image.new("RGB", (32, 32), RED)
    image.paste((0, 80, 160), (16, 0, 32, 32))
    indexed = image.quantize(2)
    assert indexed.mode == "P"
    expected = preprocess(indexed.convert("RGB"), 96, "pad")
    assert np.array_equal(decode_views(encode_image(indexed)), expected)


@pytest.mark.parametrize(
    ("image_format", "options"),
    [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("GIF", {})],
)
def test_transparency_is_composited_on_white(image_format: str, options: dict[str, Any]) -> None:
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    image.paste((*RED, 255), (16, 0, 32, 32))
    decoded = decode_views(encode_image(image, image_format, **options), SQUARE)[0]
    assert decoded[48, 8].tolist() == [255, 255, 255]
    assert decoded[48, 88].tolist() == list(RED)


def test_half_transparency_is_blended_with_white() -> None:
    decoded = decode_views(encode_image(Image.new("RGBA", (8, 8), (0, 100, 200, 128))))
    expected = [round(128 / 255 * c + 127 / 255 * 255) for c in (0, 100, 200)]
    assert max_difference(decoded[0], np.full((96, 96, 3), expected, dtype=np.uint8)) <= 1


def test_a_transparent_colour_is_composited_on_white() -> None:
    image = Image.new("RGB", (32, 32), (0, 255, 0))
    image.paste(RED, (16, 0, 32, 32))
    for data in (
        encode_image(image, transparency=(0, 255, 0)),
        encode_image(image.quantize(2), transparency=image.quantize(2).getpixel((0, 0))),
    ):
        decoded = decode_views(data, SQUARE)[0]
        assert decoded[48, 8].tolist() == [255, 255, 255]
        assert decoded[48, 88].tolist() == list(RED)


def test_sixteen_bits_of_colour_become_eight() -> None:
    # Pillow cannot write 16-bit RGB. The file has 2x1 pixels.
    def build_chunk(kind: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    row = b"\x00" + struct.pack(">6H", 0xC800, 0x1E00, 0x3C00, 0, 0x8080, 0xFFFF)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + build_chunk(b"IHDR", header)
        + build_chunk(b"IDAT", zlib.compress(row))
        + build_chunk(b"IEND", b"")
    )
    decoded = decode_views(data, SQUARE)[0]
    expected = preprocess(
        Image.fromarray(np.array([[RED, (0, 128, 255)]], dtype=np.uint8)), 96, "square"
    )
    assert max_difference(decoded, expected[0]) <= 1


def test_cmyk_jpeg() -> None:
    data = encode_image(Image.new("RGB", (32, 32), RED).convert("CMYK"), "JPEG", quality=95)
    assert (
        max_difference(decode_views(data, SQUARE)[0], np.full((96, 96, 3), RED, dtype=np.uint8))
        <= 4
    )


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"optimize": True}])
def test_jpeg_variants(options: dict[str, Any]) -> None:
    image = make_photo(120, 80)
    decoded = decode_views(encode_image(image, "JPEG", quality=95, **options))
    assert max_difference(decoded, preprocess(image, 96, "pad")) < 12


EXTREME_SHAPES = [(1, 5000), (5000, 1), (1, 1), (2, 1), (1, 2), (3000, 40)]


@pytest.mark.parametrize("image_format", ["PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("aspect_ratio", ["pad", "square"])
@pytest.mark.parametrize("shape", EXTREME_SHAPES)
def test_extreme_shapes(
    shape: tuple[int, int], aspect_ratio: AspectRatio, image_format: str
) -> None:
    data = encode_image(Image.new("RGB", shape, RED), image_format)
    decode_views(data, DecodeOptions(24, aspect_ratio, 100_000_000))


@pytest.mark.parametrize("aspect_ratio", ["pad", "square"])
@pytest.mark.parametrize("shape", EXTREME_SHAPES)
def test_extreme_shapes_of_a_jpeg_never_raise(
    shape: tuple[int, int], aspect_ratio: AspectRatio
) -> None:
    data = encode_image(Image.new("RGB", shape, RED), "JPEG")
    result = decode(data, DecodeOptions(24, aspect_ratio, 100_000_000))
    assert isinstance(result, DecodedImage | DecodeFailure)


def test_an_oblong_image_within_the_limits_is_padded() -> None:
    limits = DecodeOptions(96, "pad", 1_000_000)
    assert isinstance(decode(encode_image(Image.new("1", (1, 10_000))), limits), DecodedImage)
    assert isinstance(decode(encode_image(Image.new("1", (10_000, 1))), limits), DecodedImage)


def test_alpha_is_composited_on_alpha_color() -> None:
    data = encode_image(Image.new("RGBA", (8, 8), (0, 0, 0, 0)))
    decoded = decode_views(data, replace(SQUARE, alpha_color=(1, 2, 3)))
    assert (decoded == (1, 2, 3)).all()


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 13)])
def test_a_narrow_jpeg_is_an_image(shape: tuple[int, int]) -> None:
    data = encode_image(Image.new("RGB", shape), "JPEG")
    assert isinstance(decode(data, DecodeOptions(96, "pad", 10**8)), DecodedImage)


def test_sixteen_bit_grey_keeps_its_levels() -> None:
    levels = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (64, 1))
    expected = Image.fromarray((levels >> 8).astype(np.uint8)).convert("RGB")
    result = decode(encode_image(Image.fromarray(levels)), DecodeOptions(96, "pad", 10**8))
    assert isinstance(result, DecodedImage)
    difference = result.views.astype(int) - preprocess(expected, 96, "pad")
    assert np.abs(difference).max() <= 2


@settings(max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300))
def test_anyres_is_exact(width: int, height: int) -> None:
    image = make_noise(width, height)
    result = decode(encode_image(image), ANYRES)
    assert isinstance(result, DecodedImage)
    assert result.image_size == (width, height)
    assert np.array_equal(result.views, anyres_views(image, 48, pinpoints(48)))
    base = decode_views(encode_image(image), BASE_VIEW)
    assert np.array_equal(base, result.views[:1])


@pytest.mark.parametrize("shape", EXTREME_SHAPES)
@pytest.mark.parametrize("options", [ANYRES, BASE_VIEW])
def test_extreme_shapes_for_anyres(shape: tuple[int, int], options: DecodeOptions) -> None:
    image = make_noise(*shape)
    decoded = decode_views(encode_image(image), options)
    assert np.array_equal(decoded, anyres_views(image, 48, pinpoints(48))[: len(decoded)])
