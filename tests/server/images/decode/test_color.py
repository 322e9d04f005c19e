"""Conversion to RGB: every mode, transparency, deep grey levels and ICC profiles."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from server.images.decode.color import convert_to_rgb
from server.images.decode.formats import detect_format, open_image
from server.images.decode.grey_levels import convert_to_8_bits
from server.images.decode.image_processor import Color, Pixels
from tests.server.pictures import encode_image, make_noise

RAMP = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
RED = (200, 30, 60)


def load_rgb(data: bytes, alpha_color: Color = (255, 255, 255)) -> Pixels:
    """Decode a file to RGB."""
    image_format = detect_format(data)
    assert image_format is not None
    image = open_image(data, image_format)
    image.load()
    rgb = convert_to_rgb(image, alpha_color)
    assert rgb.mode == "RGB"
    return np.asarray(rgb)


def build_png(width: int, depth: int, kind: int, row: bytes, key: bytes = b"") -> bytes:
    """Build a PNG of one row, in variants that Pillow cannot write."""

    def build_chunk(name: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)

    return (
        b"\x89PNG\r\n\x1a\n"
        + build_chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0))
        + (build_chunk(b"tRNS", key) if key else b"")
        + build_chunk(b"IDAT", zlib.compress(b"\0" + row))
        + build_chunk(b"IEND", b"")
    )


def read_grey_row(levels: Pixels) -> list[Any]:
    """Return the first row's grey levels."""
    assert (levels == levels[..., :1]).all()
    row: list[Any] = levels[0, :, 0].tolist()
    return row


@pytest.mark.parametrize("image_format", ["PNG", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "PA"])
def test_every_mode_keeps_its_pixels(image_format: str, mode: str) -> None:
    few = make_noise(20, 10).quantize(32).convert("RGB")
    image = few.convert("P").convert("PA") if mode == "PA" else few.convert(mode)
    try:
        data = encode_image(image, image_format)
    except (OSError, ValueError):
        pytest.skip("no such file")
    expected = np.asarray(image.convert("RGB"))
    with Image.open(io.BytesIO(data)) as stored:
        if image_format == "GIF" and stored.mode != mode:
            pytest.skip("Pillow reduces the colours")
        tolerance = 0 if stored.mode == mode else 2
    assert np.abs(load_rgb(data).astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_sixteen_bits_equal_eight(image_format: str) -> None:
    deep = Image.fromarray(RAMP.astype(np.uint16) * 257)
    assert np.array_equal(load_rgb(encode_image(deep, image_format))[..., 0], RAMP)


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B"])
def test_every_order_of_sixteen_bits(mode: str) -> None:
    order = ">" if mode.endswith("B") else "<"
    levels = (RAMP.astype(np.uint16) * 257).astype(order + "u2")
    image = Image.frombytes(mode, (256, 4), levels.tobytes())
    assert np.array_equal(np.asarray(convert_to_rgb(image))[..., 0], RAMP)


def test_sixteen_bits_of_colour_equal_eight() -> None:
    row = struct.pack(">6H", *(257 * value for value in (*RED, 0, 128, 255)))
    assert load_rgb(build_png(2, 16, 2, row)).tolist() == [[list(RED), [0, 128, 255]]]


@pytest.mark.parametrize("depth", [8, 16])
def test_white_is_zero(depth: int) -> None:
    levels = RAMP if depth == 8 else RAMP.astype(np.uint16) * 257
    data = encode_image(Image.fromarray(levels), "TIFF", tiffinfo={262: 0})
    with Image.open(io.BytesIO(data)) as image:
        stored = image.tag_v2[262]  # type: ignore[attr-defined]
    assert stored == 0
    # For 8 bits Pillow stores the complement; for 16 it does not.
    expected = RAMP if depth == 8 else 255 - RAMP
    assert np.array_equal(load_rgb(data)[..., 0], expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 100, 255], [0, 100, 255]),
        ([0, 1, 1], [0, 1, 1]),
        ([0, 257 * 7, 65535], [0, 7, 255]),
        ([0, 256, 300], [0, 1, 1]),
        ([0, 65536, 131072], [0, 128, 255]),
        ([-10, 0, 10], [0, 128, 255]),
        ([7, 7, 7], [7, 7, 7]),
        ([-7, -7, -7], [0, 0, 0]),
    ],
)
def test_ranges_of_integers(values: list[int], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], dtype=np.int32))
    assert image.mode == "I"
    assert read_grey_row(load_rgb(encode_image(image, "TIFF"))) == expected


INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.2, 1], [0, 51, 255]),
        ([0, 1.5, 255], [0, 2, 255]),
        ([0, 257 * 7, 65535], [0, 7, 255]),
        ([-1, 0, 1], [0, 128, 255]),
        ([1e6, 2e6, 3e6], [0, 128, 255]),
        ([0.4, NAN, 1], [102, 0, 255]),
        ([0, INF, 1], [0, 255, 255]),
        ([-INF, 0.2, 1], [0, 51, 255]),
        ([NAN, NAN, NAN], [0, 0, 0]),
        ([-3e38, 0, 3e38], [0, 128, 255]),
    ],
)
def test_ranges_of_floats(values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert read_grey_row(load_rgb(encode_image(image, "TIFF"))) == expected


def test_bands_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(np.random.default_rng(0).random((37, 11), dtype=np.float32) * 9 - 3)
    in_one_band = np.asarray(convert_to_8_bits(image))
    monkeypatch.setattr("server.images.decode.grey_levels.BAND_PIXELS", 40)
    assert np.array_equal(np.asarray(convert_to_8_bits(image)), in_one_band)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "La", "RGBa"])
def test_alpha_is_composited_on_alpha_color(mode: str) -> None:
    image = Image.new("RGBA", (3, 1), (90, 90, 90, 255))
    image.putpixel((1, 0), (90, 90, 90, 0))
    image.putpixel((2, 0), (90, 90, 90, 128))
    if mode == "PA":
        alpha = image.getchannel("A")
        image = image.convert("L").convert("P")
        image.putalpha(alpha)
        assert image.mode == "PA"
    else:
        for step in {"La": ["LA", "La"], "LA": ["LA"], "RGBA": []}.get(mode, [mode]):
            image = image.convert(step)
    opaque, clear, half = np.asarray(convert_to_rgb(image, (0, 10, 250)))[0].tolist()
    assert opaque == [90, 90, 90]
    assert clear == [0, 10, 250]
    mixed = [(90 * 128 + color * 127) / 255 for color in (0, 10, 250)]
    assert np.abs(np.array(half) - mixed).max() <= 1


BLUE = (0, 0, 255)


@pytest.mark.parametrize(
    ("depth", "row", "key"),
    [
        (1, b"\x40", 1),
        (2, b"\x30", 3),
        (4, b"\x05", 5),
        (8, b"\x00\x07", 7),
        (16, b"\x00\x00\x12\x34", 0x1234),
    ],
)
def test_a_grey_level_that_is_transparent(depth: int, row: bytes, key: int) -> None:
    pixels = load_rgb(build_png(2, depth, 0, row, struct.pack(">H", key)), BLUE)
    assert pixels.tolist() == [[[0, 0, 0], list(BLUE)]]


@pytest.mark.parametrize("depth", [8, 16])
def test_a_colour_that_is_transparent(depth: int) -> None:
    values = [RED[i] * (257 if depth == 16 else 1) for i in range(3)]
    colour = struct.pack(f">3{'H' if depth == 16 else 'B'}", *values)
    data = build_png(2, depth, 2, bytes(len(colour)) + colour, struct.pack(">3H", *values))
    assert load_rgb(data, BLUE).tolist() == [[[0, 0, 0], list(BLUE)]]


def test_palettes_with_alpha() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, 0, 200, 0, 0, 0, 0])
    image.putdata([0, 1, 2])
    pixels = load_rgb(encode_image(image, transparency=b"\xff\x00\x80"), BLUE)[0]
    assert pixels[0].tolist() == list(RED)
    assert pixels[1].tolist() == list(BLUE)
    assert np.abs(pixels[2].astype(int) - (0, 0, 127)).max() <= 1


def test_lab() -> None:
    picture = Image.new("RGB", (4, 4), RED)
    srgb, space = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(srgb, space, "RGB", "LAB")
    lab = ImageCms.applyTransform(picture, transform)
    assert lab is not None
    data = encode_image(lab, "TIFF")
    assert np.abs(load_rgb(data).astype(int) - RED).max() <= 3


# Profiles.


def build_srgb_profile() -> bytes:
    """Return Pillow's own sRGB profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def build_swapped_profile() -> bytes:
    """Return a profile with its red and blue primaries swapped."""
    data = build_srgb_profile()
    return data.replace(b"rXYZ", b"xXYZ").replace(b"bXYZ", b"rXYZ").replace(b"xXYZ", b"bXYZ")


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_a_profile_is_applied(image_format: str) -> None:
    options = {"lossless": True} if image_format == "WEBP" else {}
    image = Image.new("RGB", (8, 8), RED)
    data = encode_image(image, image_format, icc_profile=build_swapped_profile(), **options)
    assert np.abs(load_rgb(data).astype(int) - RED[::-1]).max() <= 3


def test_a_profile_leaves_alpha_alone() -> None:
    image = Image.new("RGBA", (2, 1), (*RED, 255))
    image.putpixel((1, 0), (*RED, 0))
    pixels = load_rgb(encode_image(image, icc_profile=build_swapped_profile()), BLUE)[0]
    assert np.abs(pixels[0].astype(int) - RED[::-1]).max() <= 2
    assert pixels[1].tolist() == list(BLUE)


def test_a_profile_of_a_palette_is_applied() -> None:
    image = Image.new("RGB", (2, 1), RED).quantize(2)
    pixels = load_rgb(encode_image(image, icc_profile=build_swapped_profile()))
    assert np.abs(pixels.astype(int) - RED[::-1]).max() <= 2


@pytest.mark.parametrize(
    "icc",
    [
        build_srgb_profile(),
        b"",
        b"\0",
        b"no profile",
        build_srgb_profile()[:200],
        build_swapped_profile()[:300],
    ],
)
def test_srgb_and_broken_profiles_change_nothing(icc: bytes) -> None:
    image = make_noise(16, 16)
    assert np.array_equal(load_rgb(encode_image(image, icc_profile=icc)), np.asarray(image))


@pytest.mark.parametrize("mode", ["L", "CMYK", "LA", "1"])
def test_a_profile_for_another_mode_is_ignored(mode: str) -> None:
    image = Image.new("RGB", (4, 4), RED).convert(mode)
    data = encode_image(image, "TIFF", icc_profile=build_swapped_profile())
    assert np.array_equal(load_rgb(data), np.asarray(image.convert("RGB")))


def test_a_cached_profile_is_applied_to_every_image() -> None:
    for seed in (1, 2):
        picture = make_noise(32, 24, seed)
        swap = np.asarray(picture)[..., ::-1].astype(int)
        assert (
            np.abs(
                load_rgb(encode_image(picture, icc_profile=build_swapped_profile())) - swap
            ).max()
            <= 3
        )
