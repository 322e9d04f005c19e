"""Mutated images for fuzzing."""

import io
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from PIL import Image

from tests.heics import HEICS

Mutator = Callable[[random.Random, bytearray], None]

SEED_FORMATS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("JPEG", "RGB", {}),
    ("JPEG", "RGB", {"progressive": True}),
    ("JPEG", "CMYK", {}),
    ("PNG", "RGB", {}),
    ("PNG", "P", {"transparency": 3}),
    ("PNG", "I;16", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("GIF", "P", {}),
    ("BMP", "RGB", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "F", {}),
    ("AVIF", "RGB", {}),
    ("JPEG2000", "RGB", {}),
    ("JPEG2000", "LA", {"no_jp2": True}),
    ("ICO", "RGBA", {"sizes": [(32, 32)]}),
    ("ICO", "RGBA", {"sizes": [(32, 32)], "bitmap_format": "bmp"}),
    ("PPM", "RGB", {}),
    ("TGA", "RGBA", {"compression": "tga_rle"}),
)


def build_seed_images() -> list[bytes]:
    """Build small images in every format and several modes."""
    gradient = Image.linear_gradient("L").resize((60, 44))
    return [*(_encode(gradient, *seed_format) for seed_format in SEED_FORMATS), *HEICS.values()]


def generate_mutants(seed: int) -> Iterator[bytes]:
    """Generate mutated images endlessly, reproducible by seed."""
    rng = random.Random(seed)
    originals = build_seed_images()
    while True:
        data = bytearray(rng.choice(originals))
        for _ in range(rng.randint(1, 4)):
            rng.choice(MUTATORS)(rng, data)
        yield bytes(data)


def _encode(gradient: Image.Image, image_format: str, mode: str, options: dict[str, Any]) -> bytes:
    image = gradient if mode in ("P", "I;16", "F") else gradient.convert("RGB")
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, image_format, **options)
    return buffer.getvalue()


def _flip_bits(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.randint(1, 16)):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _damage_header(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.randint(1, 6)):
        if data:
            data[rng.randrange(min(64, len(data)))] = rng.choice((0, 1, 127, 128, 255))


def _overwrite_number(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    number = rng.choice((0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1))
    data[at : at + 4] = number.to_bytes(4, rng.choice(("big", "little")))


def _truncate(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _repeat(rng: random.Random, data: bytearray) -> None:
    start = rng.randrange(len(data) + 1)
    data[start:start] = data[start : start + rng.randint(1, 200)] * rng.randint(1, 50)


def _remove(rng: random.Random, data: bytearray) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.randint(1, 100)]


def _overwrite_noise(rng: random.Random, data: bytearray) -> None:
    start = rng.randrange(len(data) + 1)
    data[start : start + 40] = rng.randbytes(rng.randint(0, 80))


MUTATORS: Final[tuple[Mutator, ...]] = (
    _flip_bits,
    _damage_header,
    _overwrite_number,
    _truncate,
    _repeat,
    _remove,
    _overwrite_noise,
)
