"""From encoded bytes to views, in a decode worker: Pillow's codecs stay out of the server."""

import io
import os
import signal
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from PIL import Image, ImageOps

from server.checkpoint import AspectRatio
from server.media.image_processor import Pixels, preprocess

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")

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
    # Scaled decoding pays on large photographs; at twice the target it stays within 3/255.
    image.draft("RGB", _draft_size(image, options))
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _draft_size(image: Image.Image, options: DecodeOptions) -> tuple[int, int]:
    """Return the least size to decode at: twice what the resize will make of the image."""
    edge = max if options.aspect_ratio == "pad" else min
    scale = 2 * options.size / edge(image.size)
    return round(image.width * scale), round(image.height * scale)
