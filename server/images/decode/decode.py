"""Decodes and preprocesses one image.

Runs in decode workers, so that Pillow's codecs stay out of the server's process.
"""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from PIL import Image, ImageFile

from llava_spec.anyres import Size
from llava_spec.image_settings import AspectRatio
from server.images.decode.averaging import choose_scale
from server.images.decode.color import WHITE, convert_to_rgb
from server.images.decode.containers import (
    ANIMATED_FORMATS,
    count_frames,
    has_huge_tiles,
    is_complete,
    read_decoded_size,
)
from server.images.decode.formats import FORMATS, detect_format, open_image
from server.images.decode.icon import extract_largest
from server.images.decode.image_processor import (
    PAD_COLOR,
    Color,
    Pixels,
    preprocess,
    preprocess_anyres,
)
from server.images.decode.jpeg_scans import MAX_SCANS, has_many_scans
from server.images.decode.orientation import SWAPS_SIDES, find_transpose


class DecodeFault(StrEnum):
    """The reason for an image's refusal."""

    FORMAT = "format"
    CORRUPT = "corrupt"
    PIXELS = "pixels"
    SHAPE = "shape"
    FRAMES = "frames"
    ANIMATED = "animated"
    SCANS = "scans"
    MEMORY = "memory"


# Pixels of a padded square, in those of the largest image: 100,000 a side by default.
MAX_PADDING: Final = 100


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """The checkpoint's preprocessing and the limits of a decode.

    `anyres` without `grid_pinpoints` yields the base view only. `convert_to_rgb` explains
    `alpha_color` and `color_management`; `orientation` is whether EXIF's is followed.
    `max_scans` are those of a JPEG.
    """

    size: int
    aspect_ratio: AspectRatio
    max_pixels: int
    grid_pinpoints: tuple[Size, ...] = ()
    pad_color: Color = PAD_COLOR
    fast_jpeg: bool = True
    alpha_color: Color | None = WHITE
    color_management: bool = True
    orientation: bool = True
    max_frames: int = 1000
    max_scans: int = MAX_SCANS
    animated_images: Literal["first", "refuse"] = "first"
    formats: tuple[str, ...] = FORMATS


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Views of one image, uint8 (num_views, size, size, 3), and the seconds that each stage took.

    `image_size` is the upright image's (width, height). `total_frames` counts the file's frames;
    only the first is decoded.
    """

    views: Pixels
    image_size: Size
    decode_s: float
    preprocess_s: float
    format: str
    total_frames: int
    num_frames: int = 1

    @property
    def pixels(self) -> int:
        """Pixels of the image."""
        return self.image_size[0] * self.image_size[1]


@dataclass(frozen=True, slots=True)
class DecodeFailure:
    """The reason for an image's refusal, and its size in pixels if the header was readable."""

    fault: DecodeFault
    width: int = 0
    height: int = 0


def decode(data: bytes, options: DecodeOptions) -> DecodedImage | DecodeFailure:
    """Decode and preprocess one image. Never raises for bad data: returns a `DecodeFailure`."""
    started_at = time.perf_counter()
    opened = open_within_limits(data, options)
    if isinstance(opened, DecodeFailure):
        return opened
    try:
        with ignored_warnings():
            image_size, rgb = _load(opened, options)
            decoded_at = time.perf_counter()
            views = _preprocess(rgb, image_size, options)
    except Exception as error:  # codecs raise many kinds of exception on damaged data
        return DecodeFailure(classify(error), *opened.image.size)
    finished_at = time.perf_counter()
    return DecodedImage(
        views,
        image_size,
        decode_s=decoded_at - started_at,
        preprocess_s=finished_at - decoded_at,
        format=opened.format,
        total_frames=opened.total_frames,
    )


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """An image whose header is within the limits, and of which no pixel is decoded.

    `data` and `codec` are those of an icon's largest picture, else the file's and its `format`.
    """

    image: ImageFile.ImageFile
    data: bytes
    codec: str
    format: str
    total_frames: int


def open_within_limits(data: bytes, options: DecodeOptions) -> OpenedImage | DecodeFailure:
    """Read an image's header. Never raises for bad data: returns a `DecodeFailure`."""
    image_format = detect_format(data, options.formats)
    if image_format is None:
        return DecodeFailure(DecodeFault.FORMAT)
    size = (0, 0)
    try:
        with ignored_warnings():
            data, codec = extract_largest(data) if image_format == "ICO" else (data, image_format)
            size = read_decoded_size(data, codec)
            if size[0] * size[1] > options.max_pixels:
                return DecodeFailure(DecodeFault.PIXELS, *size)
            image = open_image(data, codec)
            size = image.size
            frames = count_frames(data, image, codec, options.max_frames)
            fault = _find_header_fault(image, codec, frames, options)
            if fault is None and codec == "JPEG" and has_many_scans(data, options.max_scans):
                fault = DecodeFault.SCANS
    except Exception as error:  # codecs raise many kinds of exception on damaged data
        return DecodeFailure(classify(error), *size)
    if fault is not None:
        return DecodeFailure(fault, *size)
    return OpenedImage(image, data, codec, image_format, frames)


@contextmanager
def ignored_warnings() -> Iterator[None]:
    """Ignore Pillow's warnings, which are about metadata."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _find_header_fault(
    image: ImageFile.ImageFile, image_format: str, frames: int, options: DecodeOptions
) -> DecodeFault | None:
    """Return why an image is refused before a pixel is decoded, None if it is not."""
    width, height = image.size
    if not (width and height):
        return DecodeFault.CORRUPT
    if width * height > options.max_pixels or has_huge_tiles(image, options.max_pixels):
        return DecodeFault.PIXELS
    if not _has_usable_shape(width, height, options):
        return DecodeFault.SHAPE
    if frames > options.max_frames:
        return DecodeFault.FRAMES
    if frames > 1 and image_format in ANIMATED_FORMATS and options.animated_images == "refuse":
        return DecodeFault.ANIMATED
    return None


def classify(error: Exception) -> DecodeFault:
    """Return what an exception of a codec says about the image."""
    out_of_memory = isinstance(error, MemoryError) or "out of memory" in str(error)
    return DecodeFault.MEMORY if out_of_memory else DecodeFault.CORRUPT


def _has_usable_shape(width: int, height: int, options: DecodeOptions) -> bool:
    """Whether the image takes no more work than one within the pixel limit.

    Resized to cover a square, an oblong image grows; padded to a square, most of it is padding.
    """
    shorter, longer = min(width, height), max(width, height)
    if options.aspect_ratio == "pad":
        return longer * longer <= MAX_PADDING * options.max_pixels
    if options.aspect_ratio != "square":
        return True  # no side grows beyond its target
    return options.size * options.size * longer <= options.max_pixels * shorter


def _load(opened: OpenedImage, options: DecodeOptions) -> tuple[Size, Image.Image]:
    """Decode the first frame, turned as the options say, as RGB. A JPEG may be scaled down.

    Returns the full turned image's (width, height), and the image. Raises any exception of Pillow.
    """
    image = opened.image
    if not (opened.total_frames and is_complete(opened.data, opened.codec)):
        raise EOFError("the image is cut short")
    image.load()
    transpose = find_transpose(image, opened.codec) if options.orientation else None
    rgb = convert_to_rgb(image, options.alpha_color, color_management=options.color_management)
    image_size = rgb.size[::-1] if transpose in SWAPS_SIDES else rgb.size
    if opened.codec == "JPEG" and options.fast_jpeg:
        scale = choose_scale(image_size, options.size, options.aspect_ratio, options.grid_pinpoints)
        rgb = rgb.reduce(scale)
    return image_size, rgb if transpose is None else rgb.transpose(transpose)


def _preprocess(image: Image.Image, image_size: Size, options: DecodeOptions) -> Pixels:
    if options.aspect_ratio == "anyres":
        return preprocess_anyres(image, options.size, options.grid_pinpoints, image_size)
    return preprocess(image, options.size, options.aspect_ratio, options.pad_color)
