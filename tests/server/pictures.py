"""Images for tests, and their encodings."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

# The formats that most tests use.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


def make_noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return independent random pixels: any shift or change is visible."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def make_photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return detail at all scales, strongest at the coarsest, as in a photograph."""
    total = np.zeros((height, width, 3))
    for octave in range(8):
        cells = 2 ** (octave + 1)
        layer = make_noise(cells, cells, seed + octave).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        total += np.asarray(layer, dtype=np.float64) / cells
    low, high = total.min(), total.max()
    return Image.fromarray(((total - low) / (high - low) * 255).astype(np.uint8))


def encode_image(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    """Encode an image. `options` are Pillow's."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def build_data_url(data: bytes, mime: str = "image/png") -> str:
    """Return bytes as a base64 data URL."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
