"""JPEGs whose pixels are averaged before the resize stay close to those that are not."""

import functools
import io
import struct
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from PIL import Image, ImageDraw

from llava_spec.image_settings import AspectRatio
from server.images.decode.averaging import choose_scale
from server.images.decode.decode import (
    DecodedImage,
    DecodeOptions,
    decode,
)
from server.images.decode.image_processor import preprocess, preprocess_anyres
from tests.server.images.decode.decoding import (
    ANYRES,
    BASE_VIEW,
    decode_fully,
    decode_views,
    max_difference,
)
from tests.server.pictures import encode_image, make_noise, make_photo
from tests.server.released import anyres_views, pinpoints

ORIENTATION = 0x0112  # EXIF


@functools.cache
def encode_photograph(shape: tuple[int, int]) -> bytes:
    """Encode a large JPEG."""
    return encode_image(make_photo(*shape), "JPEG", quality=90)


@pytest.mark.parametrize("aspect_ratio", ["pad", "square"])
@pytest.mark.parametrize("size", [96, 336])
@pytest.mark.parametrize("shape", [(3456, 3072), (3072, 3456)])
def test_averaging_of_a_photograph_stays_close(
    shape: tuple[int, int], size: int, aspect_ratio: Literal["pad", "square"]
) -> None:
    data = encode_photograph(shape)
    decoded = decode_views(data, DecodeOptions(size, aspect_ratio, 10**8))
    with Image.open(io.BytesIO(data)) as full:
        expected = preprocess(full.convert("RGB"), size, aspect_ratio)
    difference = np.abs(decoded.astype(int) - expected.astype(int))
    # A difference of 0 would mean that nothing was averaged.
    assert 0 < difference.max() <= 3
    assert difference.mean() < 0.5


@pytest.mark.parametrize("shape", [(2400, 1601), (1501, 2000), (4000, 3000), (4001, 2999)])
@pytest.mark.parametrize("size", [96, 336])
def test_averaging_stays_close_for_any_shape(shape: tuple[int, int], size: int) -> None:
    data = encode_image(make_photo(*shape), "JPEG", quality=90)
    result = decode(data, DecodeOptions(size, "pad", 10**8))
    assert isinstance(result, DecodedImage)
    with Image.open(io.BytesIO(data)) as full:
        expected = preprocess(full.convert("RGB"), size, "pad")
    assert np.abs(result.views.astype(int) - expected.astype(int)).max() <= 3


@pytest.mark.parametrize(
    "shape", [(1200, 800), (800, 1200), (1000, 1000), (1600, 320), (1602, 801)]
)
@pytest.mark.parametrize("options", [ANYRES, BASE_VIEW])
def test_averaging_for_anyres_stays_close(shape: tuple[int, int], options: DecodeOptions) -> None:
    data = encode_image(make_photo(*shape), "JPEG", quality=90)
    result = decode(data, options)
    assert isinstance(result, DecodedImage)
    assert result.image_size == shape
    expected = preprocess_anyres(decode_fully(data), 48, options.grid_pinpoints, shape)
    assert result.views.shape == expected.shape
    scale = choose_scale(shape, 48, "anyres", options.grid_pinpoints)
    assert (max_difference(result.views, expected) > 0) == (scale > 1)
    assert max_difference(result.views, expected) <= 3


def draw_saturated_shapes(width: int, height: int) -> Image.Image:
    """Return hard edges between saturated colours, and lines of one pixel."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    colors = ("red", "lime", "blue", "cyan", "magenta", "yellow", "black", "white")
    rng = np.random.default_rng(2)
    for number in range(60):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        side = int(rng.integers(width // 40, width // 4))
        draw_shape = draw.ellipse if number % 2 else draw.rectangle
        draw_shape((x, y, x + side, y + side), fill=colors[number % 8])
    for x in range(0, width // 3, 3):
        draw.line((x, 0, x, height // 3), fill=colors[x // 3 % 6])
    return image


# The sampling that Pillow writes, and the factors of the first component that take its place: the
# same blocks at other places, which is another image and no less of a test.
SAMPLINGS: dict[str, tuple[str, int, int]] = {
    "4:4:4": ("4:4:4", 1, 1),
    "4:2:2": ("4:2:2", 2, 1),
    "4:4:0": ("4:2:2", 1, 2),
    "4:2:0": ("4:2:0", 2, 2),
    "4:1:1": ("4:2:0", 4, 1),
    "4:1:0": ("4:2:0", 1, 4),
}


def encode_sampled(image: Image.Image, sampling: str, quality: int) -> bytes:
    """Encode a JPEG with any sampling; the sides of another sampling than Pillow's differ."""
    written, wide, high = SAMPLINGS[sampling]
    data = bytearray(encode_image(image, "JPEG", quality=quality, subsampling=written))
    at = data.index(b"\xff\xc0") + 5
    height, width = struct.unpack_from(">2H", data, at)
    old_wide, old_high = data[at + 6] >> 4, data[at + 6] & 15
    struct.pack_into(">2H", data, at, height * high // old_high, width * wide // old_wide)
    data[at + 6] = wide << 4 | high
    return bytes(data)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("quality", [30, 90])
@pytest.mark.parametrize("shape", [(1152, 768), (2304, 1152)])
def test_hard_edges_of_saturated_colours_stay_close(
    shape: tuple[int, int], quality: int, sampling: str
) -> None:
    images = [draw_saturated_shapes(*shape), make_noise(shape[0] // 8, shape[1] // 8)]
    for image in images:
        data = encode_sampled(image.resize(shape, Image.Resampling.BICUBIC), sampling, quality)
        for size in (24, 48, 96):
            for aspect_ratio in ("pad", "square"):
                options = DecodeOptions(size, aspect_ratio, 10**8)
                exact = decode_views(data, replace(options, fast_jpeg=False))
                assert max_difference(decode_views(data, options), exact) <= 4


@pytest.mark.parametrize("aspect_ratio", ["pad", "square", "anyres"])
def test_without_fast_jpeg_the_full_image_is_decoded(aspect_ratio: AspectRatio) -> None:
    data = encode_image(make_photo(1200, 800), "JPEG", quality=90)
    options = DecodeOptions(48, aspect_ratio, 10**8, pinpoints(48))
    exact, fast = decode(data, replace(options, fast_jpeg=False)), decode(data, options)
    assert isinstance(exact, DecodedImage)
    assert isinstance(fast, DecodedImage)
    if aspect_ratio == "anyres":
        expected = anyres_views(decode_fully(data), 48, pinpoints(48))
    else:
        expected = preprocess(decode_fully(data), 48, aspect_ratio)
    assert np.array_equal(exact.views, expected)
    assert not np.array_equal(fast.views, expected)


def test_a_noisy_photograph_stays_close_at_the_smallest_ratio() -> None:
    pixels = np.asarray(make_photo(1600, 1200), dtype=float)
    grain = np.random.default_rng(0).normal(0, 12, pixels.shape)
    noisy = Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8))
    data = encode_image(noisy, "JPEG", quality=90)
    decoded = decode_views(data, DecodeOptions(160, "pad", 10**8))
    assert 0 < max_difference(decoded, preprocess(decode_fully(data), 160, "pad")) <= 3


@pytest.mark.parametrize("size", [(8, 4000), (4000, 8), (16, 16000)])
def test_a_narrow_jpeg_is_decoded(size: tuple[int, int]) -> None:
    data = encode_image(make_noise(*size), "JPEG")
    options = DecodeOptions(24, "pad", 10**8)
    exact = decode_views(data, replace(options, fast_jpeg=False))
    assert max_difference(decode_views(data, options), exact) <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_is_averaged_before_it_is_turned(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encode_image(make_photo(1024, 768), "JPEG", quality=90, exif=exif)
    options = DecodeOptions(48, "pad", 10**8)
    exact = decode_views(data, replace(options, fast_jpeg=False))
    assert 0 < max_difference(decode_views(data, options), exact) <= 3
