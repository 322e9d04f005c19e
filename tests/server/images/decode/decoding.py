"""Decoding in tests: options, and helpers that expect views or a failure."""

import io

import numpy as np
from PIL import Image

from server.images.decode.decode import DecodedImage, DecodeFailure, DecodeOptions, decode
from server.images.decode.formats import FORMATS
from server.images.decode.image_processor import Pixels
from tests.server.released import pinpoints

PAD = DecodeOptions(96, "pad", 100_000_000)
SQUARE = DecodeOptions(96, "square", 100_000_000)
ANYRES = DecodeOptions(48, "anyres", 10**8, pinpoints(48))
BASE_VIEW = DecodeOptions(48, "anyres", 10**8)

# Formats that Pillow writes, at any size.
WRITABLE_FORMATS = tuple(each for each in FORMATS if each not in ("HEIF", "ICO"))

RED = (200, 30, 60)


def decode_views(data: bytes, options: DecodeOptions = PAD) -> Pixels:
    """Return the views of an image that must be accepted."""
    result = decode(data, options)
    assert isinstance(result, DecodedImage), result
    assert result.views.dtype == np.uint8
    assert result.views.shape[0] == 1 or options.grid_pinpoints
    assert result.views.shape[1:] == (options.size, options.size, 3)
    assert result.decode_s > 0
    assert result.preprocess_s > 0
    return result.views


def expect_failure(data: bytes, options: DecodeOptions = PAD) -> DecodeFailure:
    """Return the failure of an image that must be refused."""
    result = decode(data, options)
    assert isinstance(result, DecodeFailure)
    return result


def max_difference(one: Pixels, other: Pixels) -> int:
    """Return the largest difference of any pixel."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def decode_fully(data: bytes) -> Image.Image:
    """Decode at full size, to RGB."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")
