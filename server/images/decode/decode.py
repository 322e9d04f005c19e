"""From encoded bytes to views, in a decode worker: Pillow's codecs stay out of the server."""

import time
import warnings
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from PIL import Image, ImageFile

from llava_spec.anyres import Size
from llava_spec.image_settings import AspectRatio
from server.images.decode.color import WHITE, to_rgb
from server.images.decode.completeness import is_complete
from server.images.decode.draft import draft_scale
from server.images.decode.formats import open_image, sniff
from server.images.decode.frames import ANIMATED, count_frames
from server.images.decode.header import has_huge_tiles, webp_size
from server.images.decode.image_processor import (
    PAD_COLOR,
    Color,
    Pixels,
    preprocess,
    preprocess_anyres,
)
from server.images.decode.orientation import LYING, find_transpose


class DecodeFault(StrEnum):
    """Why an image was refused."""

    FORMAT = "format"
    CORRUPT = "corrupt"
    PIXELS = "pixels"
    SHAPE = "shape"
    FRAMES = "frames"
    ANIMATED = "animated"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """What a worker needs to know of the checkpoint and of the limits.

    `anyres` without `grid_pinpoints` is the base view only.
    """

    size: int
    aspect_ratio: AspectRatio
    max_pixels: int
    grid_pinpoints: tuple[Size, ...] = ()
    pad_color: Color = PAD_COLOR
    fast_jpeg: bool = True
    alpha_color: Color = WHITE
    max_frames: int = 1000
    animated_images: Literal["first", "refuse"] = "first"


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Views of one image, uint8 (num_views, size, size, 3), and what they took in seconds.

    `image_size` is that of the upright image, `frames` counts what the file holds, though only the
    first is shown.
    """

    views: Pixels
    image_size: Size
    decode_s: float
    preprocess_s: float
    format: str
    frames: int

    @property
    def pixels(self) -> int:
        """Pixels of the picture."""
        return self.image_size[0] * self.image_size[1]


@dataclass(frozen=True, slots=True)
class DecodeFailure:
    """Why there are no views, and the image's size in pixels where its header told."""

    fault: DecodeFault
    width: int = 0
    height: int = 0


def decode(data: bytes, options: DecodeOptions) -> DecodedImage | DecodeFailure:
    """Decode and preprocess one image. Never raises for bad data: the verdict is the result."""
    started = time.perf_counter()
    image_format = sniff(data)
    if image_format is None:
        return DecodeFailure(DecodeFault.FORMAT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about metadata; the verdict is ours
        size = webp_size(data) if image_format == "WEBP" else (0, 0)
        if size[0] * size[1] > options.max_pixels:  # libwebp allocates when it opens
            return DecodeFailure(DecodeFault.PIXELS, *size)
        try:
            image = open_image(data, image_format)
            size = image.size
            frames = count_frames(data, image, image_format, options.max_frames)
            fault = _header_fault(image, image_format, frames, options)
            if fault is None and not (frames and is_complete(data, image_format)):
                fault = DecodeFault.CORRUPT
            if fault is not None:
                return DecodeFailure(fault, *size)
            image_size, rgb = _load(image, image_format, options)
            decoded = time.perf_counter()
            views = _views(rgb, image_size, options)
        except Exception as error:  # codecs raise whatever they like on damaged data
            return DecodeFailure(_fault(error), *size)
    done = time.perf_counter()
    return DecodedImage(views, image_size, decoded - started, done - decoded, image_format, frames)


def _header_fault(
    image: ImageFile.ImageFile, image_format: str, frames: int, options: DecodeOptions
) -> DecodeFault | None:
    """Return what refuses an image before any pixel is decoded."""
    width, height = image.size
    if not (width and height):
        return DecodeFault.CORRUPT
    if width * height > options.max_pixels or has_huge_tiles(image, options.max_pixels):
        return DecodeFault.PIXELS
    if not _has_usable_shape(width, height, options):
        return DecodeFault.SHAPE
    if frames > options.max_frames:
        return DecodeFault.FRAMES
    if frames > 1 and image_format in ANIMATED and options.animated_images == "refuse":
        return DecodeFault.ANIMATED
    return None


def _fault(error: Exception) -> DecodeFault:
    out_of_memory = isinstance(error, MemoryError) or "out of memory" in str(error)
    return DecodeFault.MEMORY if out_of_memory else DecodeFault.CORRUPT


def _has_usable_shape(width: int, height: int, options: DecodeOptions) -> bool:
    """Tell whether resizing keeps the picture within the pixel limit."""
    if options.aspect_ratio != "square":
        return True  # no side grows beyond its target
    shorter, longer = min(width, height), max(width, height)
    return options.size * options.size * longer <= options.max_pixels * shorter


def _load(
    image: ImageFile.ImageFile, image_format: str, options: DecodeOptions
) -> tuple[Size, Image.Image]:
    """Decode the (first) frame, upright, as RGB; a JPEG perhaps scaled down.

    Returns the size of the full upright image with it.
    """
    full_size = image.size
    if image_format == "JPEG" and options.fast_jpeg:
        _scale_down(image, _turned(full_size, find_transpose(image, image_format)), options)
    scaled = image.size != full_size
    image.load()
    transpose = find_transpose(image, image_format)
    rgb = to_rgb(image, options.alpha_color)
    if transpose is not None:
        rgb = rgb.transpose(transpose)
    return _turned(full_size, transpose) if scaled else rgb.size, rgb


def _scale_down(image: ImageFile.ImageFile, image_size: Size, options: DecodeOptions) -> None:
    """Have a JPEG decoded at the scale that its view allows."""
    scale = draft_scale(image_size, options.size, options.aspect_ratio, options.grid_pinpoints)
    if scale > 1:
        image.draft("RGB", (image.width // scale, image.height // scale))


def _turned(size: Size, transpose: Image.Transpose | None) -> Size:
    return (size[1], size[0]) if transpose in LYING else size


def _views(image: Image.Image, image_size: Size, options: DecodeOptions) -> Pixels:
    if options.aspect_ratio == "anyres":
        return preprocess_anyres(image, options.size, options.grid_pinpoints, image_size)
    return preprocess(image, options.size, options.aspect_ratio, options.pad_color)
