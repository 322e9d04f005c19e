"""From encoded bytes to views, in a decode worker: Pillow's codecs stay out of the server."""

import io
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from server.anyres import Size
from server.media.draft import draft_scale
from server.media.image_processor import (
    PAD_COLOR,
    Color,
    Pixels,
    preprocess,
    preprocess_anyres,
)
from server.vision_config import AspectRatio

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")

# EXIF orientations that lie on their side.
ORIENTATION: Final = 0x0112
LYING: Final = range(5, 9)


class Fault(StrEnum):
    """Why an image was refused."""

    FORMAT = "format"
    CORRUPT = "corrupt"
    PIXELS = "pixels"
    SHAPE = "shape"


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


@dataclass(frozen=True, slots=True)
class Decoded:
    """Views of one image, uint8 (num_views, size, size, 3), and what they took in seconds.

    `image_size` is that of the upright image.
    """

    views: Pixels
    image_size: Size
    decode_s: float
    preprocess_s: float
    format: str
    frames: int = 1


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Why there are no views, and the image's size in pixels where its header told."""

    fault: Fault
    width: int = 0
    height: int = 0


def decode(data: bytes, options: DecodeOptions) -> Decoded | Undecodable:
    """Decode and preprocess one image. Never raises for bad data: the verdict is the result."""
    started = time.perf_counter()
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception:  # codecs raise whatever they like on damaged headers
        return Undecodable(Fault.FORMAT)
    width, height = image.size
    if width * height > options.max_pixels:
        return Undecodable(Fault.PIXELS, width, height)
    if not _has_usable_shape(width, height, options):
        return Undecodable(Fault.SHAPE, width, height)
    try:
        image_size = _upright_size(image)
        rgb = _load_rgb(image, _scale(image_size, options))
        decoded = time.perf_counter()
        views = _views(rgb, image_size, options)
    except Exception:
        return Undecodable(Fault.CORRUPT, width, height)
    return Decoded(
        views,
        image_size,
        decoded - started,
        time.perf_counter() - decoded,
        image.format or "",
        getattr(image, "n_frames", 1),
    )


def _has_usable_shape(width: int, height: int, options: DecodeOptions) -> bool:
    """Tell whether padding or resizing keeps the picture within the pixel limit."""
    shorter, longer = min(width, height), max(width, height)
    if options.aspect_ratio == "pad":
        return longer * longer <= max(options.max_pixels, 4096 * 4096)
    if options.aspect_ratio == "anyres":
        return True  # no side grows beyond its target
    return options.size * options.size * longer <= options.max_pixels * shorter


def _upright_size(image: Image.Image) -> Size:
    """Return the size that the image will have once `exif_transpose` has turned it."""
    width, height = image.size
    return (height, width) if image.getexif().get(ORIENTATION) in LYING else (width, height)


def _scale(image_size: Size, options: DecodeOptions) -> int:
    if not options.fast_jpeg:
        return 1
    return draft_scale(image_size, options.size, options.aspect_ratio, options.grid_pinpoints)


def _views(image: Image.Image, image_size: Size, options: DecodeOptions) -> Pixels:
    if options.aspect_ratio == "anyres":
        return preprocess_anyres(image, options.size, options.grid_pinpoints, image_size)
    return preprocess(image, options.size, options.aspect_ratio, options.pad_color)


def _load_rgb(image: Image.Image, scale: int) -> Image.Image:
    """Decode the (first) frame, a JPEG scaled down by `scale`, upright, alpha on white, as RGB."""
    if scale > 1:
        image.draft("RGB", (image.width // scale, image.height // scale))
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to its range; Pillow's own conversion would clip it to white."""
    return Image.fromarray((np.asarray(image).astype(np.uint32) // 257).astype(np.uint8))
