"""EXIF orientation is undone once, in every format."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from server.images.decode.decode import (
    DecodedImage,
    DecodeOptions,
    decode,
)
from server.images.decode.image_processor import Pixels, preprocess, preprocess_anyres
from tests.server.images.decode.decoding import (
    ANYRES,
    PAD,
    decode_fully,
    decode_views,
    max_difference,
)
from tests.server.pictures import encode_image, make_noise, make_photo
from tests.server.released import pinpoints

# The operation that makes stored pixels upright, by EXIF orientation.
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
    stored = make_noise(60, 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = np.ascontiguousarray(UPRIGHT[orientation](np.asarray(stored)))
    decoded = decode_views(encode_image(stored, exif=exif), DecodeOptions(96, aspect_ratio, 10**6))
    assert np.array_equal(decoded, preprocess(Image.fromarray(upright), 96, aspect_ratio))


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "LZW", "AVIF"])
def test_every_format_is_transposed_once(orientation: int, image_format: str) -> None:
    stored = make_photo(60, 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    lzw = {"compression": "tiff_lzw"} if image_format == "LZW" else {}
    data = encode_image(stored, "TIFF" if lzw else image_format, exif=exif, **lzw)
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
def test_a_broken_exif_block_is_ignored(image_format: str, exif: bytes) -> None:
    image = make_photo(60, 40)
    if image_format == "AVIF":  # Pillow validates what it writes
        sound = Image.Exif()
        sound[0x010E] = "a description"
        data = encode_image(image, "AVIF", exif=sound)
        at = data.index(b"Exif\0\0MM") + 6
        data = data[:at] + exif.ljust(32, b"\xff") + data[at + 32 :]
    else:
        data = encode_image(image, image_format, exif=b"Exif\0\0" + exif)
    assert max_difference(decode_views(data), preprocess(image, 96, "pad")) < 60


def test_exif_orientation_of_a_large_jpeg() -> None:
    stored = make_photo(1200, 800)
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decode_views(encode_image(stored, "JPEG", quality=95, exif=exif))
    upright = stored.transpose(Image.Transpose.ROTATE_270)
    assert max_difference(decoded, preprocess(upright, 96, "pad")) <= 6


def test_the_grid_of_a_rotated_photograph_is_that_of_the_upright_image() -> None:
    stored = make_photo(1600, 640)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode_image(stored, "JPEG", quality=95, exif=exif)
    result = decode(data, ANYRES)
    assert isinstance(result, DecodedImage)
    assert result.image_size == (640, 1600)
    upright = decode_fully(data).transpose(Image.Transpose.ROTATE_270)
    expected = preprocess_anyres(upright, 48, pinpoints(48), upright.size)
    assert expected.shape == (3 + 1, 48, 48, 3)
    assert max_difference(result.views, expected) <= 3
