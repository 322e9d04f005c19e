"""Scaled decoding of JPEGs stays close to the full decode."""

import functools
import io
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from llava_spec.image_settings import AspectRatio
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
from tests.server.pictures import encode_image, make_photo
from tests.server.released import anyres_views, pinpoints


@functools.cache
def encode_photograph(shape: tuple[int, int]) -> bytes:
    """Encode a large JPEG."""
    return encode_image(make_photo(*shape), "JPEG", quality=90)


@pytest.mark.parametrize("aspect_ratio", ["pad", "square"])
@pytest.mark.parametrize("size", [96, 336])
@pytest.mark.parametrize("shape", [(2560, 1760), (1760, 2560)])
def test_scaled_decoding_of_a_photograph_stays_close(
    shape: tuple[int, int], size: int, aspect_ratio: Literal["pad", "square"]
) -> None:
    data = encode_photograph(shape)
    decoded = decode_views(data, DecodeOptions(size, aspect_ratio, 10**8))
    with Image.open(io.BytesIO(data)) as full:
        expected = preprocess(full.convert("RGB"), size, aspect_ratio)
    difference = np.abs(decoded.astype(int) - expected.astype(int))
    # A difference of 0 would mean a full decode, which takes several times as long.
    assert 0 < difference.max() <= 3
    assert difference.mean() < 0.5


@pytest.mark.parametrize("shape", [(2400, 1601), (1501, 2000), (4000, 3000), (4001, 2999)])
@pytest.mark.parametrize("size", [96, 336])
def test_scaled_decoding_stays_close_for_any_shape(shape: tuple[int, int], size: int) -> None:
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
def test_scaled_decoding_for_anyres_stays_close(
    shape: tuple[int, int], options: DecodeOptions
) -> None:
    data = encode_image(make_photo(*shape), "JPEG", quality=90)
    result = decode(data, options)
    assert isinstance(result, DecodedImage)
    assert result.image_size == shape
    expected = preprocess_anyres(decode_fully(data), 48, options.grid_pinpoints, shape)
    assert result.views.shape == expected.shape
    scaled = all(side % 2 == 0 for side in shape)
    assert (max_difference(result.views, expected) > 0) == scaled
    assert max_difference(result.views, expected) <= 3


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
    decoded = decode_views(data, DecodeOptions(320, "pad", 10**8))
    assert 0 < max_difference(decoded, preprocess(decode_fully(data), 320, "pad")) <= 3
