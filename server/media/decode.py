"""From encoded bytes to views, in a decode worker: Pillow's codecs stay out of the server."""

import io
import os
import signal
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from server.checkpoint import AspectRatio
from server.media.image_processor import Pixels, preprocess

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")

# What libjpeg can do at no cost, beside 1.
DRAFT_SCALES: Final = (8, 4, 2)

# Decode workers give way to the engine and the event loop.
NICENESS: Final = 5


class Fault(StrEnum):
    """Why an image was refused."""

    FORMAT = "format"
    CORRUPT = "corrupt"
    PIXELS = "pixels"
    SHAPE = "shape"


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """What a worker needs to know of the checkpoint and of the limits."""

    size: int
    aspect_ratio: AspectRatio
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """Views of one image, uint8 (num_views, size, size, 3), and what they took in seconds."""

    views: Pixels
    decode_s: float
    preprocess_s: float


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Why there are no views, and the image's size in pixels where its header told."""

    fault: Fault
    width: int = 0
    height: int = 0


def start_worker() -> None:
    """Prepare a worker process: low priority, plugins loaded, no limit but ours.

    Ctrl-C reaches all processes of a terminal; a worker ends when the server has drained.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    Image.MAX_IMAGE_PIXELS = None
    Image.init()


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
        rgb = _load_rgb(image, options)
        decoded = time.perf_counter()
        views = preprocess(rgb, options.size, options.aspect_ratio)
    except Exception:
        return Undecodable(Fault.CORRUPT, width, height)
    return Decoded(views, decoded - started, time.perf_counter() - decoded)


def _has_usable_shape(width: int, height: int, options: DecodeOptions) -> bool:
    """Tell whether padding or resizing keeps the picture within the pixel limit."""
    shorter, longer = min(width, height), max(width, height)
    if options.aspect_ratio == "pad":
        return longer * longer <= max(options.max_pixels, 4096 * 4096)
    return options.size * options.size * longer <= options.max_pixels * shorter


def _load_rgb(image: Image.Image, options: DecodeOptions) -> Image.Image:
    """Decode the (first) frame, upright, alpha on white, as RGB."""
    if (scale := _draft_scale(image.size, options)) > 1:
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


def _draft_scale(size: tuple[int, int], options: DecodeOptions) -> int:
    """Return by how much a JPEG may be scaled down while it is decoded: 1, 2, 4 or 8.

    To no less than twice what the resize will make of it, and only where sides and padding stay
    whole: then the result is within 3/255 of the full decode, else seams would move.
    """
    longer, shorter = max(size), min(size)
    edge, lengths = shorter, [longer, shorter]
    if options.aspect_ratio == "pad":
        edge, lengths = longer, [longer, shorter, (longer - shorter) // 2]
    fits = (s for s in DRAFT_SCALES if edge >= 2 * s * options.size)
    return next((s for s in fits if all(length % s == 0 for length in lengths)), 1)
