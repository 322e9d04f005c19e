"""JPEG 2000, icons, PPM and TGA, and which formats are accepted."""

import struct
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from server.images.decode.decode import (
    DecodedImage,
    DecodeFailure,
    DecodeFault,
    DecodeOptions,
    decode,
)
from server.images.decode.formats import FORMATS, detect_format
from server.images.decode.icon import ENTRY, HEADER
from server.images.decode.image_processor import preprocess
from server.images.decode.jpeg2000 import START
from server.settings.types import ImageFormat
from tests.mutation import build_seed_images
from tests.server.images.decode.decoding import PAD, decode_views, expect_failure, max_difference
from tests.server.pictures import encode_image, make_noise, make_photo

SMALL = DecodeOptions(96, "pad", 10_000)

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "JP2": ("JPEG2000", {}),
    "lossy JP2": ("JPEG2000", {"irreversible": True, "quality_layers": [20]}),
    "codestream": ("JPEG2000", {"no_jp2": True}),
    "tiles": ("JPEG2000", {"tile_size": (16, 16)}),
    "icon of PNG": ("ICO", {"sizes": [(16, 16), (40, 40)]}),
    "icon of bitmaps": ("ICO", {"sizes": [(16, 16), (40, 40)], "bitmap_format": "bmp"}),
    "PPM": ("PPM", {}),
    "TGA": ("TGA", {}),
    "RLE": ("TGA", {"compression": "tga_rle"}),
}


def test_the_setting_has_all_formats() -> None:
    assert {name.upper() for name in get_args(ImageFormat)} >= set(FORMATS)
    assert {name.upper() for name in get_args(ImageFormat)} - set(FORMATS) <= {"AVIF", "HEIF"}


@pytest.mark.parametrize("left_out", FORMATS)
def test_formats_that_are_left_out_are_not_supported(left_out: str) -> None:
    options = DecodeOptions(96, "pad", 10**6, formats=tuple(set(FORMATS) - {left_out}))
    seeds = [data for data in build_seed_images() if detect_format(data) == left_out]
    assert seeds
    for data in seeds:
        assert expect_failure(data, options) == DecodeFailure(DecodeFault.FORMAT)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_truncated_file_is_refused(variant: str) -> None:
    image_format, options = VARIANTS[variant]
    data = encode_image(make_noise(40, 40), image_format, **options)
    complete_views = decode_views(data)
    for end in range(8, len(data), max(1, len(data) // 100)):
        result = decode(data[:end], PAD)
        if isinstance(result, DecodedImage):  # only the end marker is missing
            assert end > len(data) - 20
            assert np.array_equal(result.views, complete_views)
        else:
            # A TGA without its end is of no known format.
            assert result.fault in (DecodeFault.CORRUPT, DecodeFault.FORMAT)


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA"])
@pytest.mark.parametrize("image_format", ["JPEG2000", "TGA"])
def test_modes(mode: str, image_format: str) -> None:
    image = make_noise(60, 40).convert(mode)
    if "A" in mode:
        image.putalpha(Image.linear_gradient("L").resize((60, 40)))
    expected = decode_views(encode_image(image, "PNG"))
    assert max_difference(decode_views(encode_image(image, image_format)), expected) <= 1


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_plain_and_raw_portable_maps(mode: str) -> None:
    image = make_noise(20, 10).convert(mode)
    kind, maximum = {"1": (b"P1", b""), "L": (b"P2", b"255\n"), "RGB": (b"P3", b"255\n")}[mode]
    levels = np.asarray(image).astype(int).ravel()
    text = b" ".join(b"%d" % (1 - level if mode == "1" else level) for level in levels)
    plain = kind + b"\n# made by hand\n20 10\n" + maximum + text + b"\n"
    expected = preprocess(image.convert("RGB"), 96, "pad")
    assert np.array_equal(decode_views(plain), expected)
    assert np.array_equal(decode_views(encode_image(image, "PPM")), expected)


def test_a_dark_map_of_sixteen_bits_stays_dark() -> None:
    data = b"P5 4 4 65535\n" + struct.pack(">16H", *[200] * 16)
    assert decode_views(data, DecodeOptions(4, "square", 100)).max() <= 1


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP"])
def test_a_png_may_hold_large_metadata(kind: str) -> None:
    image, content = make_photo(60, 40), bytes(2 * 2**20)
    if kind == "iCCP":
        data = encode_image(image, icc_profile=content)
    else:
        texts = PngInfo()
        add = texts.add_text if kind == "zTXt" else texts.add_itxt
        add("workflow", content.decode(), zip=True)
        data = encode_image(image, pnginfo=texts)
    assert kind.encode() in data
    assert np.array_equal(decode_views(data), decode_views(encode_image(image)))


@pytest.mark.parametrize("bitmap_format", ["png", "bmp"])
def test_the_largest_picture_of_an_icon_is_used(bitmap_format: str) -> None:
    image = make_photo(64, 64).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((64, 64)))
    sizes = [(16, 16), (64, 64), (32, 32)]
    data = encode_image(image, "ICO", sizes=sizes, bitmap_format=bitmap_format)
    result = decode(data, PAD)
    assert isinstance(result, DecodedImage)
    assert (result.format, result.image_size, result.total_frames) == ("ICO", (64, 64), 1)
    assert np.array_equal(result.views, decode_views(encode_image(image, "PNG")))


def wrap_in_icon(picture: bytes) -> bytes:
    """Return an icon that says its picture has 16 x 16 pixels."""
    offset = HEADER.size + ENTRY.size
    entry = ENTRY.pack(16, 16, 0, 0, 1, 32, len(picture), offset)
    return HEADER.pack(0, 1, 1) + entry + picture


def test_an_icon_that_hides_a_large_png_is_refused() -> None:
    icon = wrap_in_icon(encode_image(Image.new("L", (400, 300))))
    assert expect_failure(icon, SMALL) == DecodeFailure(DecodeFault.PIXELS, 400, 300)


@pytest.mark.parametrize("header_bytes", [12, 40])
def test_an_icon_that_hides_a_large_bitmap_is_refused(header_bytes: int) -> None:
    sides = struct.pack("<HH" if header_bytes == 12 else "<ii", 30_000, 60_000)
    icon = wrap_in_icon((struct.pack("<I", header_bytes) + sides).ljust(200, b"\1"))
    assert expect_failure(icon, SMALL) == DecodeFailure(DecodeFault.PIXELS, 30_000, 30_000)


@pytest.mark.parametrize(
    "icon",
    [b"\0\0\1\0", b"\0\0\1\0\0\0", b"\0\0\1\0\1\0", wrap_in_icon(b""), wrap_in_icon(bytes(50))],
)
def test_broken_icons(icon: bytes) -> None:
    assert expect_failure(icon).fault is DecodeFault.CORRUPT


@pytest.mark.parametrize("is_bare", [False, True])
def test_a_codestream_larger_than_its_file_says_is_refused(is_bare: bool) -> None:
    data = encode_image(make_noise(40, 40), "JPEG2000", no_jp2=is_bare)
    at = data.index(START) + 8
    for position, value, size in (
        (at, struct.pack(">2I", 30_000, 20_000), (30_000, 20_000)),
        (at, struct.pack(">6I", 90, 90, 0, 0, 80, 70), None),
        (at + 16, struct.pack(">2I", 2**32 - 1, 2**32 - 1), None),
    ):
        bomb = data[:position] + value + data[position + len(value) :]
        result = decode(bomb, SMALL)
        if size is not None:
            assert result == DecodeFailure(DecodeFault.PIXELS, *size)
        else:
            assert isinstance(result, DecodeFailure | DecodedImage)


@pytest.mark.parametrize("kind", [b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf"])
def test_a_large_portable_map_is_refused(kind: bytes) -> None:
    header = kind + b"\n3000 2000\n" + (b"" if kind in (b"P1", b"P4") else b"1\n")
    refused = DecodeFailure(DecodeFault.PIXELS, 3000, 2000)
    assert expect_failure(header + b"1" * 99, SMALL) == refused


def test_a_large_tga_is_refused() -> None:
    data = bytearray(encode_image(Image.new("L", (40, 40)), "TGA", compression="tga_rle"))
    data[12:16] = struct.pack("<2H", 3000, 2000)
    assert expect_failure(bytes(data), SMALL) == DecodeFailure(DecodeFault.PIXELS, 3000, 2000)
