"""Pixels as the released code's loader gives them: `Image.open(file).convert("RGB")`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from PIL import Image, ImageCms

from server.checkpoint.config import Checkpoint
from server.images.decode.color import WHITE
from server.images.decode.decode import DecodedImage, DecodeOptions, decode
from server.images.decode.image_processor import preprocess
from server.images.decode.video.animation import decode_animation
from server.images.decode.video.faults import VideoOptions
from server.images.decode.video.sampling import FrameSampling
from server.media_loading import build_decode_options
from server.settings import Settings
from tests.server.images.decode.decoding import decode_fully, decode_views, max_difference
from tests.server.pictures import encode_image, make_noise, make_photo

AS_RELEASED = DecodeOptions(
    96, "pad", 10**8, alpha_color=None, color_management=False, orientation=False, fast_jpeg=False
)
PAD = DecodeOptions(96, "pad", 10**8)
ORIENTATION = 0x0112  # EXIF
RED, BLUE = (200, 30, 60), (0, 0, 255)


def build_profile() -> bytes:
    """Return an sRGB profile whose red and blue primaries are swapped."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data.replace(b"rXYZ", b"xXYZ").replace(b"bXYZ", b"rXYZ").replace(b"xXYZ", b"bXYZ")


def build_exif(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def make_transparent(width: int = 60, height: int = 40) -> Image.Image:
    """Return random colours under random alpha."""
    image = make_noise(width, height)
    image.putalpha(make_noise(width, height, 1).getchannel("R"))
    return image


def encode_grey(levels: type[np.generic], image_format: str) -> bytes:
    values = np.arange(0, 4000, 100).reshape(5, 8).astype(levels)
    return encode_image(Image.fromarray(values), image_format)


def encode_palette() -> bytes:
    image = make_noise(60, 40).quantize(16)
    return encode_image(image, transparency=bytes(range(0, 256, 16)))


FILES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encode_image(
        make_photo(60, 40), "JPEG", exif=build_exif(), icc_profile=build_profile()
    ),
    "large jpeg": lambda: encode_image(make_photo(1200, 800), "JPEG", exif=build_exif(3)),
    "cmyk jpeg": lambda: encode_image(
        make_photo(60, 40).convert("CMYK"), "JPEG", icc_profile=build_profile()
    ),
    "png": lambda: encode_image(make_transparent(), exif=build_exif(), icc_profile=build_profile()),
    "grey png with alpha": lambda: encode_image(make_transparent().convert("LA")),
    "palette": encode_palette,
    "transparent colour": lambda: encode_image(Image.new("RGB", (9, 7), RED), transparency=RED),
    "webp": lambda: encode_image(
        make_transparent(), "WEBP", lossless=True, exif=build_exif(), icc_profile=build_profile()
    ),
    "gif": lambda: encode_image(make_transparent(), "GIF"),
    "bmp": lambda: encode_image(make_noise(60, 40), "BMP"),
    "tiff": lambda: encode_image(
        make_transparent(), "TIFF", exif=build_exif(), icc_profile=build_profile()
    ),
    "avif": lambda: encode_image(make_transparent(), "AVIF", exif=build_exif()),
    "tga": lambda: encode_image(make_transparent(), "TGA"),
    "16 bits": lambda: encode_grey(np.uint16, "PNG"),
    "32 bits": lambda: encode_grey(np.int32, "TIFF"),
    "floats": lambda: encode_grey(np.float32, "TIFF"),
}


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("aspect_ratio", ["pad", "square"])
def test_pixels_equal_the_released_loaders(
    name: str, aspect_ratio: Literal["pad", "square"]
) -> None:
    data = FILES[name]()
    expected = decode_fully(data)
    result = decode(data, replace(AS_RELEASED, aspect_ratio=aspect_ratio))
    assert isinstance(result, DecodedImage)
    assert result.image_size == expected.size
    assert np.array_equal(result.views, preprocess(expected, 96, aspect_ratio))


@pytest.mark.parametrize("name", FILES)
def test_the_released_loaders_pixels_are_not_the_default(name: str) -> None:
    views = decode_views(FILES[name](), replace(PAD, fast_jpeg=False))
    plain = name in ("bmp", "gif", "cmyk jpeg")  # an RGB profile does not apply
    assert np.array_equal(views, decode_views(FILES[name](), AS_RELEASED)) is plain


def test_settings_become_options(checkpoint: Checkpoint) -> None:
    """Content keys are made of the options' text, so each setting must show in it."""
    alone: list[dict[str, str]] = [
        {},
        {"alpha": "drop"},
        {"color_management": "off"},
        {"orientation": "off"},
    ]
    options = [
        build_decode_options(Settings.model_validate(each), checkpoint.image) for each in alone
    ]
    assert len({repr(each) for each in options}) == 4
    assert [each.alpha_color for each in options] == [WHITE, None, WHITE, WHITE]
    assert [each.color_management for each in options] == [True, True, False, True]
    assert [each.orientation for each in options] == [True, True, True, False]


def test_orientation_alone() -> None:
    data = encode_image(make_transparent(), exif=build_exif(), icc_profile=build_profile())
    unscaled = replace(PAD, size=60)
    turned, stored = decode(data, unscaled), decode(data, replace(unscaled, orientation=False))
    assert isinstance(turned, DecodedImage)
    assert isinstance(stored, DecodedImage)
    assert (turned.image_size, stored.image_size) == ((40, 60), (60, 40))
    upright = np.rot90(stored.views[0], -1)
    assert max_difference(turned.views[0], np.ascontiguousarray(upright)) <= 1


def test_color_management_alone() -> None:
    image = Image.new("RGBA", (96, 96), (*RED, 255))
    image.paste((*RED, 0), (0, 0, 48, 96))
    data = encode_image(image, icc_profile=build_profile())
    options = replace(PAD, color_management=False, alpha_color=BLUE)
    view = decode_views(data, options)[0]
    assert view[0, 0].tolist() == list(BLUE)
    assert view[0, -1].tolist() == list(RED)


def test_alpha_alone() -> None:
    image = Image.new("RGBA", (96, 96), (*RED, 0))
    data = encode_image(image, icc_profile=build_profile())
    view = decode_views(data, replace(PAD, alpha_color=None))[0]
    assert np.abs(view[0, 0].astype(int) - RED[::-1]).max() <= 2


def test_a_transparent_level_of_deep_grey_without_color_management() -> None:
    levels = np.array([[0, 100], [300, 0]], dtype=np.uint16)
    data = encode_image(Image.fromarray(levels), transparency=300)
    options = DecodeOptions(2, "square", 100, alpha_color=BLUE, color_management=False)
    assert decode_views(data, options)[0].tolist() == [
        [[0, 0, 0], [100, 100, 100]],
        [list(BLUE), [0, 0, 0]],
    ]


def test_averaging_follows_the_stored_orientation() -> None:
    data = encode_image(
        make_photo(1600, 640), "JPEG", quality=95, exif=build_exif(), icc_profile=build_profile()
    )
    fast = decode(data, replace(AS_RELEASED, size=48, fast_jpeg=True))
    assert isinstance(fast, DecodedImage)
    assert fast.image_size == (1600, 640)
    exact = preprocess(decode_fully(data), 48, "pad")
    assert 0 < max_difference(fast.views, exact) <= 3


def test_animations_follow_alpha_and_color_management() -> None:
    frames = [make_transparent(48, 48), make_transparent(48, 48).rotate(90)]
    data = encode_image(
        frames[0],
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        lossless=True,
        icc_profile=build_profile(),
    )
    options = VideoOptions(
        48, True, 10**6, 10, 10.0, ("webp",), 10**9, None, color_management=False
    )
    views, _, _ = decode_animation(data, "webp", options, FrameSampling(2, None, 2))
    expected = [np.asarray(frame.convert("RGB")) for frame in frames]
    opaque = np.asarray(frames[0].getchannel("A")) > 0  # WebP keeps no colour where alpha is 0
    assert np.array_equal(views[0][opaque], expected[0][opaque])
