"""Decoding: formats, colours, orientation, and a verdict for whatever is not an image."""

import functools
import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
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
    DecodeFault,
    DecodeOptions,
    decode,
)
from server.images.decode.formats import FORMATS as KNOWN
from server.images.decode.image_processor import Pixels, preprocess, preprocess_anyres
from tests.server.pictures import FORMATS, encoded, noise, photo
from tests.server.released import anyres_views, pinpoints

PAD = DecodeOptions(96, "pad", 100_000_000)
SQUARE = DecodeOptions(96, "square", 100_000_000)

WHITE, RED = (255, 255, 255), (200, 30, 60)


def views(data: bytes, options: DecodeOptions = PAD) -> Pixels:
    """Decode what must be decodable."""
    result = decode(data, options)
    assert isinstance(result, DecodedImage), result
    assert result.views.dtype == np.uint8
    assert result.views.shape[0] == 1 or options.grid_pinpoints
    assert result.views.shape[1:] == (options.size, options.size, 3)
    assert result.decode_s > 0
    assert result.preprocess_s > 0
    return result.views


def verdict(data: bytes, options: DecodeOptions = PAD) -> DecodeFailure:
    """Decode what must not be decodable."""
    result = decode(data, options)
    assert isinstance(result, DecodeFailure)
    return result


def distance(one: Pixels, other: Pixels) -> int:
    """Return the largest difference of any pixel."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


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
    ],
)
@pytest.mark.parametrize("aspect_ratio", ["pad", "square"])
def test_lossless_formats_are_exact(
    image_format: str, options: dict[str, Any], aspect_ratio: Literal["pad", "square"]
) -> None:
    image = noise(150, 70)
    decoded = views(encoded(image, image_format, **options), DecodeOptions(96, aspect_ratio, 10**6))
    assert np.array_equal(decoded, preprocess(image, 96, aspect_ratio))


@pytest.mark.parametrize("image_format", KNOWN)
def test_every_format_shows_the_picture(image_format: str) -> None:
    image = photo(150, 70)
    decoded = views(encoded(image, image_format))
    # GIF has 256 colours, the others lose detail only.
    assert distance(decoded, preprocess(image, 96, "pad")) < (60 if image_format == "GIF" else 30)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(image_format: str) -> None:
    frames = [Image.new("RGB", (40, 40), color) for color in (RED, "lime", "blue")]
    options = {"lossless": True} if image_format == "WEBP" else {}
    data = encoded(
        frames[0], image_format, save_all=True, append_images=frames[1:], duration=50, **options
    )
    with Image.open(io.BytesIO(data)) as animation:
        assert getattr(animation, "n_frames", 1) == 3
    assert distance(views(data), preprocess(frames[0], 96, "pad")) <= 1


def test_a_cameras_multi_picture_jpeg_is_its_first_picture() -> None:
    large, thumbnail = photo(300, 200), Image.new("RGB", (30, 20), "lime")
    data = encoded(large, "MPO", save_all=True, append_images=[thumbnail], quality=95)
    assert distance(views(data), preprocess(large, 96, "pad")) < 10


def grey_levels() -> Image.Image:
    """Return all grey levels from left to right."""
    return Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (64, 1)))


@pytest.mark.parametrize("image_format", FORMATS)
def test_grey(image_format: str) -> None:
    grey = grey_levels()
    decoded = views(encoded(grey, image_format))
    assert distance(decoded, preprocess(grey.convert("RGB"), 96, "pad")) <= 8


def test_grey_with_alpha_lies_on_white() -> None:
    grey = Image.new("LA", (32, 32), (0, 0))
    grey.paste((40, 255), (0, 0, 16, 32))
    decoded = views(encoded(grey), SQUARE)[0]
    assert decoded[48, 8].tolist() == [40, 40, 40]
    assert decoded[48, 88].tolist() == [255, 255, 255]


def test_bilevel() -> None:
    black_and_white = Image.new("1", (32, 32), 0)
    black_and_white.paste(1, (16, 0, 32, 32))
    decoded = views(encoded(black_and_white), SQUARE)[0]
    assert decoded[48, 8].tolist() == [0, 0, 0]
    assert decoded[48, 88].tolist() == [255, 255, 255]


def test_palette() -> None:
    image = Image.new("RGB", (32, 32), RED)
    image.paste((0, 80, 160), (16, 0, 32, 32))
    indexed = image.quantize(2)
    assert indexed.mode == "P"
    expected = preprocess(indexed.convert("RGB"), 96, "pad")
    assert np.array_equal(views(encoded(indexed)), expected)


@pytest.mark.parametrize(
    ("image_format", "options"),
    [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("GIF", {})],
)
def test_transparency_lies_on_white(image_format: str, options: dict[str, Any]) -> None:
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    image.paste((*RED, 255), (16, 0, 32, 32))
    decoded = views(encoded(image, image_format, **options), SQUARE)[0]
    assert decoded[48, 8].tolist() == [255, 255, 255]
    assert decoded[48, 88].tolist() == list(RED)


def test_half_transparency_is_mixed_with_white() -> None:
    decoded = views(encoded(Image.new("RGBA", (8, 8), (0, 100, 200, 128))))
    expected = [round(128 / 255 * c + 127 / 255 * 255) for c in (0, 100, 200)]
    assert distance(decoded[0], np.full((96, 96, 3), expected, dtype=np.uint8)) <= 1


def test_transparent_colour_of_a_palette_or_of_rgb_lies_on_white() -> None:
    image = Image.new("RGB", (32, 32), (0, 255, 0))
    image.paste(RED, (16, 0, 32, 32))
    for data in (
        encoded(image, transparency=(0, 255, 0)),
        encoded(image.quantize(2), transparency=image.quantize(2).getpixel((0, 0))),
    ):
        decoded = views(data, SQUARE)[0]
        assert decoded[48, 8].tolist() == [255, 255, 255]
        assert decoded[48, 88].tolist() == list(RED)


def test_sixteen_bits_of_colour_become_eight() -> None:
    # Pillow writes no such file, so this is one by hand: 2x1 pixels, 16-bit RGB.
    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    row = b"\x00" + struct.pack(">6H", 0xC800, 0x1E00, 0x3C00, 0, 0x8080, 0xFFFF)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row))
        + chunk(b"IEND", b"")
    )
    decoded = views(data, SQUARE)[0]
    expected = preprocess(
        Image.fromarray(np.array([[RED, (0, 128, 255)]], dtype=np.uint8)), 96, "square"
    )
    assert distance(decoded, expected[0]) <= 1


def test_cmyk_jpeg() -> None:
    data = encoded(Image.new("RGB", (32, 32), RED).convert("CMYK"), "JPEG", quality=95)
    assert distance(views(data, SQUARE)[0], np.full((96, 96, 3), RED, dtype=np.uint8)) <= 4


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"optimize": True}])
def test_kinds_of_jpeg(options: dict[str, Any]) -> None:
    image = photo(120, 80)
    decoded = views(encoded(image, "JPEG", quality=95, **options))
    assert distance(decoded, preprocess(image, 96, "pad")) < 12


# From the pixels as stored to the upright picture, by EXIF orientation.
UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("aspect_ratio", ["pad", "square"])
def test_exif_orientation_is_undone(
    orientation: int, aspect_ratio: Literal["pad", "square"]
) -> None:
    stored = noise(60, 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = np.ascontiguousarray(UPRIGHT[orientation](np.asarray(stored)))
    decoded = views(encoded(stored, exif=exif), DecodeOptions(96, aspect_ratio, 10**6))
    assert np.array_equal(decoded, preprocess(Image.fromarray(upright), 96, aspect_ratio))


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "LZW", "AVIF"])
def test_every_format_is_turned_once(orientation: int, image_format: str) -> None:
    stored = photo(60, 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    lzw = {"compression": "tiff_lzw"} if image_format == "LZW" else {}
    data = encoded(stored, "TIFF" if lzw else image_format, exif=exif, **lzw)
    result = decode(data, PAD)
    assert isinstance(result, DecodedImage)
    upright = np.ascontiguousarray(UPRIGHT[orientation](np.asarray(stored)))
    assert result.image_size == (upright.shape[1], upright.shape[0])
    expected = preprocess(Image.fromarray(upright), 96, "pad")
    assert np.abs(result.views.astype(int) - expected).mean() < 8


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize(
    "exif", [b"", b"rubbish", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff"]
)
def test_a_broken_exif_block_says_nothing(image_format: str, exif: bytes) -> None:
    image = photo(60, 40)
    if image_format == "AVIF":  # Pillow looks at what it writes
        sound = Image.Exif()
        sound[0x010E] = "a description"
        data = encoded(image, "AVIF", exif=sound)
        at = data.index(b"Exif\0\0MM") + 6
        data = data[:at] + exif.ljust(32, b"\xff") + data[at + 32 :]
    else:
        data = encoded(image, image_format, exif=b"Exif\0\0" + exif)
    assert distance(views(data), preprocess(image, 96, "pad")) < 60


def test_exif_orientation_of_a_large_jpeg() -> None:
    stored = photo(1200, 800)
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = views(encoded(stored, "JPEG", quality=95, exif=exif))
    upright = stored.transpose(Image.Transpose.ROTATE_270)
    assert distance(decoded, preprocess(upright, 96, "pad")) <= 6


@functools.cache
def photograph(shape: tuple[int, int]) -> bytes:
    """Return a large JPEG."""
    return encoded(photo(*shape), "JPEG", quality=90)


@pytest.mark.parametrize("aspect_ratio", ["pad", "square"])
@pytest.mark.parametrize("size", [96, 336])
@pytest.mark.parametrize("shape", [(2560, 1760), (1760, 2560)])
def test_scaled_decoding_of_a_photograph_stays_close(
    shape: tuple[int, int], size: int, aspect_ratio: Literal["pad", "square"]
) -> None:
    data = photograph(shape)
    decoded = views(data, DecodeOptions(size, aspect_ratio, 10**8))
    with Image.open(io.BytesIO(data)) as full:
        expected = preprocess(full.convert("RGB"), size, aspect_ratio)
    difference = np.abs(decoded.astype(int) - expected.astype(int))
    assert 0 < difference.max() <= 3  # 0: it was decoded in full, which takes several times as long
    assert difference.mean() < 0.5


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
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


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_short_is_refused_or_shows_all(kind: str) -> None:
    image_format, options = KINDS[kind]
    data = encoded(noise(61, 40), image_format, **options)
    whole = views(data)
    assert np.array_equal(views(data + b"trailing garbage"), whole)
    last = [len(data) - missing for missing in range(1, 8)]
    for end in [*(len(data) * part // 20 for part in range(1, 20)), *last]:
        result = decode(data[:end], PAD)
        if isinstance(result, DecodedImage):  # all but the end mark is there
            assert end in last
            assert np.array_equal(result.views, whole)
        else:
            assert result.fault is DecodeFault.CORRUPT


def test_an_animation_cut_behind_its_first_frame_is_shown() -> None:
    frames = [noise(20, 16, seed) for seed in range(3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    result = decode(data[: len(data) // 2], PAD)
    assert isinstance(result, DecodedImage)
    assert result.frames == 1
    assert np.array_equal(result.views, views(data))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF"])
def test_a_cut_leaves_the_size_in_the_verdict(image_format: str) -> None:
    data = encoded(noise(120, 90), image_format)
    assert verdict(data[: len(data) // 2]) == DecodeFailure(DecodeFault.CORRUPT, 120, 90)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"hello, I am not an image",
        b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        b"%PDF-1.7",
        b"RIFF\x00\x00\x00\x00WEBP",
        b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic",
        encoded(Image.new("RGB", (4, 4)), "ICO"),
        encoded(Image.new("RGB", (4, 4)), "PPM"),
        np.random.default_rng(0).bytes(5000),
    ],
    ids=lambda data: repr(data[:8]),
)
def test_what_is_no_supported_image(data: bytes) -> None:
    assert verdict(data) == DecodeFailure(DecodeFault.FORMAT)


@pytest.mark.parametrize(
    "data",
    [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"RIFF\0\0\0\0WEBPVP8 "],
)
def test_a_magic_alone_is_a_damaged_image(data: bytes) -> None:
    assert verdict(data) == DecodeFailure(DecodeFault.CORRUPT)
    assert verdict(data + bytes(100)).fault is DecodeFault.CORRUPT


@settings(max_examples=150)
@given(st.binary(max_size=300), st.sampled_from(["", *KNOWN]))
def test_random_bytes_never_raise(noise_bytes: bytes, image_format: str) -> None:
    magic = encoded(Image.new("RGB", (4, 4)), image_format)[:24] if image_format else b""
    assert isinstance(decode(magic + noise_bytes, PAD), DecodeFailure | DecodedImage)


SMALL = {image_format: encoded(noise(24, 16), image_format) for image_format in KNOWN}


@settings(max_examples=150)
@given(st.sampled_from(KNOWN), st.data())
def test_damage_never_raises(image_format: str, data: st.DataObject) -> None:
    damaged = bytearray(SMALL[image_format])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    result = decode(bytes(damaged), DecodeOptions(96, "pad", 1_000_000))
    assert isinstance(result, DecodeFailure | DecodedImage)


@pytest.mark.parametrize("image_format", KNOWN)
def test_the_pixel_limit_is_exact_and_needs_only_the_header(image_format: str) -> None:
    data = encoded(Image.new("RGB", (300, 200)), image_format)
    assert isinstance(decode(data, DecodeOptions(96, "pad", 60_000)), DecodedImage)
    refused = DecodeFailure(DecodeFault.PIXELS, 300, 200)
    assert verdict(data, DecodeOptions(96, "pad", 59_999)) == refused
    if image_format != "AVIF":  # whose reader looks at the whole
        header = data[: max(40, len(data) // 2)]
        assert verdict(header, DecodeOptions(96, "pad", 59_999)) == refused


EXTREME_SHAPES = [(1, 5000), (5000, 1), (1, 1), (2, 1), (1, 2), (3000, 40)]


@pytest.mark.parametrize("image_format", ["PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("aspect_ratio", ["pad", "square"])
@pytest.mark.parametrize("shape", EXTREME_SHAPES)
def test_extreme_shapes(
    shape: tuple[int, int], aspect_ratio: AspectRatio, image_format: str
) -> None:
    data = encoded(Image.new("RGB", shape, RED), image_format)
    views(data, DecodeOptions(24, aspect_ratio, 100_000_000))


@pytest.mark.parametrize("aspect_ratio", ["pad", "square"])
@pytest.mark.parametrize("shape", EXTREME_SHAPES)
def test_extreme_shapes_of_a_jpeg_never_raise(
    shape: tuple[int, int], aspect_ratio: AspectRatio
) -> None:
    data = encoded(Image.new("RGB", shape, RED), "JPEG")
    result = decode(data, DecodeOptions(24, aspect_ratio, 100_000_000))
    assert isinstance(result, DecodedImage | DecodeFailure)


def test_no_picture_is_too_oblong_to_pad() -> None:
    limits = DecodeOptions(96, "pad", 10_000)
    assert isinstance(decode(encoded(Image.new("1", (1, 10_000))), limits), DecodedImage)
    assert isinstance(decode(encoded(Image.new("1", (10_000, 1))), limits), DecodedImage)


def test_huge_tiles_of_a_small_tiff_are_refused() -> None:
    data = encoded(Image.new("L", (8, 8)), "TIFF", tiffinfo={305: "x", 315: "y"})
    for text, tile in ((305, 322), (315, 323)):
        at = data.index(struct.pack("<HHI", text, 2, 2))
        data = data[:at] + struct.pack("<HHII", tile, 4, 1, 60_000) + data[at + 12 :]
    assert verdict(data) == DecodeFailure(DecodeFault.PIXELS, 8, 8)


def test_a_huge_canvas_of_a_webp_is_refused_unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.images.decode.decode.open_image", None)
    data = encoded(Image.new("RGB", (300, 200)), "WEBP")
    assert verdict(data, DecodeOptions(96, "pad", 59_999)) == DecodeFailure(
        DecodeFault.PIXELS, 300, 200
    )


@pytest.mark.parametrize("error", [MemoryError(), OSError("out of memory error when reading")])
def test_a_lack_of_memory_is_told(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("server.images.decode.decode.to_rgb", fail)
    assert verdict(encoded(noise(8, 6))) == DecodeFailure(DecodeFault.MEMORY, 8, 6)


def test_alpha_lies_on_the_colour_that_is_set() -> None:
    data = encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)))
    decoded = views(data, replace(SQUARE, alpha_color=(1, 2, 3)))
    assert (decoded == (1, 2, 3)).all()


def test_a_picture_too_oblong_to_crop_is_refused_unread() -> None:
    data = encoded(Image.new("1", (5000, 1)))
    limit = 24 * 24 * 5000
    assert isinstance(decode(data, DecodeOptions(24, "square", limit)), DecodedImage)
    refused = verdict(data, DecodeOptions(24, "square", limit - 1))
    assert refused == DecodeFailure(DecodeFault.SHAPE, 5000, 1)


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 13)])
def test_a_narrow_jpeg_is_an_image(shape: tuple[int, int]) -> None:
    data = encoded(Image.new("RGB", shape), "JPEG")
    assert isinstance(decode(data, DecodeOptions(96, "pad", 10**8)), DecodedImage)


def test_sixteen_bit_grey_keeps_its_levels() -> None:
    levels = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (64, 1))
    expected = Image.fromarray((levels >> 8).astype(np.uint8)).convert("RGB")
    result = decode(encoded(Image.fromarray(levels)), DecodeOptions(96, "pad", 10**8))
    assert isinstance(result, DecodedImage)
    difference = result.views.astype(int) - preprocess(expected, 96, "pad")
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize("shape", [(2400, 1601), (1501, 2000), (4000, 3000), (4001, 2999)])
@pytest.mark.parametrize("size", [96, 336])
def test_scaled_decoding_stays_close_for_any_shape(shape: tuple[int, int], size: int) -> None:
    data = encoded(photo(*shape), "JPEG", quality=90)
    result = decode(data, DecodeOptions(size, "pad", 10**8))
    assert isinstance(result, DecodedImage)
    with Image.open(io.BytesIO(data)) as full:
        expected = preprocess(full.convert("RGB"), size, "pad")
    assert np.abs(result.views.astype(int) - expected.astype(int)).max() <= 3


# Of anyres, all views, and the first one alone.

ANYRES = DecodeOptions(48, "anyres", 10**8, pinpoints(48))
BASE_VIEW = DecodeOptions(48, "anyres", 10**8)


def full(data: bytes) -> Image.Image:
    """Decode everything at full size."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


@settings(max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300))
def test_anyres_is_exact(width: int, height: int) -> None:
    image = noise(width, height)
    result = decode(encoded(image), ANYRES)
    assert isinstance(result, DecodedImage)
    assert result.image_size == (width, height)
    assert np.array_equal(result.views, anyres_views(image, 48, pinpoints(48)))
    base = views(encoded(image), BASE_VIEW)
    assert np.array_equal(base, result.views[:1])


@pytest.mark.parametrize(
    "shape", [(1200, 800), (800, 1200), (1000, 1000), (1600, 320), (1602, 801)]
)
@pytest.mark.parametrize("options", [ANYRES, BASE_VIEW])
def test_scaled_decoding_for_anyres_stays_close(
    shape: tuple[int, int], options: DecodeOptions
) -> None:
    data = encoded(photo(*shape), "JPEG", quality=90)
    result = decode(data, options)
    assert isinstance(result, DecodedImage)
    assert result.image_size == shape
    expected = preprocess_anyres(full(data), 48, options.grid_pinpoints, shape)
    assert result.views.shape == expected.shape
    scaled = all(side % 2 == 0 for side in shape)
    assert (distance(result.views, expected) > 0) == scaled
    assert distance(result.views, expected) <= 3


def test_a_lying_photograph_gets_the_grid_of_the_upright_one() -> None:
    stored = photo(1600, 640)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(stored, "JPEG", quality=95, exif=exif)
    result = decode(data, ANYRES)
    assert isinstance(result, DecodedImage)
    assert result.image_size == (640, 1600)
    upright = full(data).transpose(Image.Transpose.ROTATE_270)
    expected = preprocess_anyres(upright, 48, pinpoints(48), upright.size)
    assert expected.shape == (3 + 1, 48, 48, 3)
    assert distance(result.views, expected) <= 3


@pytest.mark.parametrize("aspect_ratio", ["pad", "square", "anyres"])
def test_without_fast_jpeg_pixels_are_those_of_the_full_decode(aspect_ratio: AspectRatio) -> None:
    data = encoded(photo(1200, 800), "JPEG", quality=90)
    options = DecodeOptions(48, aspect_ratio, 10**8, pinpoints(48))
    exact, fast = decode(data, replace(options, fast_jpeg=False)), decode(data, options)
    assert isinstance(exact, DecodedImage)
    assert isinstance(fast, DecodedImage)
    if aspect_ratio == "anyres":
        expected = anyres_views(full(data), 48, pinpoints(48))
    else:
        expected = preprocess(full(data), 48, aspect_ratio)
    assert np.array_equal(exact.views, expected)
    assert not np.array_equal(fast.views, expected)


def test_a_noisy_photograph_stays_within_three_at_the_smallest_ratio() -> None:
    pixels = np.asarray(photo(1600, 1200), dtype=float)
    grain = np.random.default_rng(0).normal(0, 12, pixels.shape)
    noisy = Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8))
    data = encoded(noisy, "JPEG", quality=90)
    decoded = views(data, DecodeOptions(320, "pad", 10**8))
    assert 0 < distance(decoded, preprocess(full(data), 320, "pad")) <= 3


@pytest.mark.parametrize("shape", EXTREME_SHAPES)
@pytest.mark.parametrize("options", [ANYRES, BASE_VIEW])
def test_extreme_shapes_for_anyres(shape: tuple[int, int], options: DecodeOptions) -> None:
    image = noise(*shape)
    decoded = views(encoded(image), options)
    assert np.array_equal(decoded, anyres_views(image, 48, pinpoints(48))[: len(decoded)])
