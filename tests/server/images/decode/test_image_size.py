"""An image's size is read from its header as `decode` finds it."""

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageFile

from server.images.decode.decode import (
    DecodedImage,
    DecodeFailure,
    DecodeFault,
    DecodeOptions,
    decode,
)
from server.images.decode.formats import FORMATS
from server.images.decode.image_size import measure_image
from tests.heics import HEICS
from tests.server.images.decode.decoding import PAD, WRITABLE_FORMATS
from tests.server.pictures import encode_image, make_photo


@pytest.fixture
def _no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a pixel is decoded."""

    def refuse(_: Any) -> None:
        raise AssertionError("the pixels are decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)


def find_size(data: bytes) -> tuple[int, int]:
    """Return the size that a decode finds."""
    decoded = decode(data, PAD)
    assert isinstance(decoded, DecodedImage)
    return decoded.image_size


def encode_oriented(image_format: str, orientation: int) -> bytes:
    """Return a picture of 60 x 40 that is stored in an orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode_image(make_photo(60, 40), image_format, exif=exif)


def move_exif_behind_pixels(png: bytes, kind: bytes, text: bytes | None = None) -> bytes:
    """Put what states the orientation behind a PNG's pixels."""
    start = png.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(png[start : start + 4], "big")
    content = png[start + 8 : end - 4] if text is None else text
    chunk = struct.pack(">I4s", len(content), kind) + content
    chunk += struct.pack(">I", zlib.crc32(kind + content))
    rest = png[:start] + png[end:]
    at = rest.index(b"IEND") - 4
    return rest[:at] + chunk + rest[at:]


@pytest.mark.usefixtures("_no_pixels")
@pytest.mark.parametrize("image_format", WRITABLE_FORMATS)
def test_no_pixel_of_any_format_is_decoded(image_format: str) -> None:
    assert measure_image(encode_image(make_photo(60, 40), image_format), PAD) == (60, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_size_is_that_of_the_upright_image(image_format: str, orientation: int) -> None:
    data = encode_oriented(image_format, orientation)
    assert measure_image(data, PAD) == find_size(data)
    as_stored = DecodeOptions(96, "pad", 10**8, orientation=False)
    if image_format != "TIFF":  # Pillow transposes it
        assert measure_image(data, as_stored) == (60, 40)


@pytest.mark.skipif("HEIF" not in FORMATS, reason="pi-heif is not installed")
@pytest.mark.parametrize("name", HEICS)
def test_heic(name: str) -> None:
    decoded = decode(HEICS[name], PAD)
    if isinstance(decoded, DecodedImage):
        assert measure_image(HEICS[name], PAD) == decoded.image_size


@pytest.mark.parametrize("save", [{}, {"bitmap_format": "bmp"}])
def test_an_icon_has_the_size_of_its_largest_picture(save: dict[str, Any]) -> None:
    data = encode_image(make_photo(64, 48), "ICO", sizes=[(16, 12), (64, 48)], **save)
    assert measure_image(data, PAD) == find_size(data)


XMP = b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'


@pytest.mark.parametrize(("kind", "text"), [(b"eXIf", None), (b"iTXt", XMP)])
def test_an_orientation_behind_the_pixels_of_a_png(kind: bytes, text: bytes | None) -> None:
    data = move_exif_behind_pixels(encode_oriented("PNG", 6), kind, text)
    assert measure_image(data, PAD) == find_size(data) == (40, 60)


@pytest.mark.usefixtures("_no_pixels")
def test_the_header_of_a_jpeg_suffices() -> None:
    for image_format, options in (
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "icc_profile": b"\0" * 60000}),
        ("MPO", {"save_all": True, "append_images": [make_photo(30, 20)]}),
    ):
        data = encode_image(make_photo(1200, 800), image_format, quality=95, **options)
        assert measure_image(data[:80_000], PAD) == (1200, 800)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        encode_image(make_photo(60, 40), "JPEG")[:20],
        encode_image(make_photo(60, 40), "PNG")[:20],
        encode_image(make_photo(60, 40), "WEBP")[:16],
        encode_image(make_photo(64, 48), "ICO")[:40],
    ],
)
def test_a_damaged_header_has_no_size(data: bytes) -> None:
    assert isinstance(measure_image(data, PAD), DecodeFailure)


@pytest.mark.parametrize("image_format", WRITABLE_FORMATS)
def test_a_size_beyond_the_limit_is_refused(image_format: str) -> None:
    data = encode_image(make_photo(60, 40), image_format)
    refused = DecodeFailure(DecodeFault.PIXELS, 60, 40)
    assert measure_image(data, DecodeOptions(96, "pad", 2399)) == refused
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (60, 40)
