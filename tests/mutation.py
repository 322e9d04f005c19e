"""Images that are almost right: what a fuzzer sends."""

import io
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from PIL import Image

Mutator = Callable[[random.Random, bytearray], None]

SAVED: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
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
)


def seeds() -> list[bytes]:
    """Return a small image in every format and several modes."""
    gradient = Image.linear_gradient("L").resize((60, 44))
    return [_saved(gradient, *how) for how in SAVED]


def mutants(seed: int) -> Iterator[bytes]:
    """Return damaged images and random bytes without end, the same for the same seed."""
    dice = random.Random(seed)
    originals = seeds()
    while True:
        data = bytearray(dice.choice(originals))
        for _ in range(dice.randint(1, 4)):
            dice.choice(MUTATORS)(dice, data)
        yield bytes(data)


def _saved(gradient: Image.Image, image_format: str, mode: str, options: dict[str, Any]) -> bytes:
    image = gradient if mode in ("P", "I;16", "F") else gradient.convert("RGB")
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, image_format, **options)
    return buffer.getvalue()


def _flip_bits(dice: random.Random, data: bytearray) -> None:
    for _ in range(dice.randint(1, 16)):
        if data:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _damage_header(dice: random.Random, data: bytearray) -> None:
    for _ in range(dice.randint(1, 6)):
        if data:
            data[dice.randrange(min(64, len(data)))] = dice.choice((0, 1, 127, 128, 255))


def _large_number(dice: random.Random, data: bytearray) -> None:
    at = dice.randrange(len(data) + 1)
    number = dice.choice((0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1))
    data[at : at + 4] = number.to_bytes(4, dice.choice(("big", "little")))


def _cut(dice: random.Random, data: bytearray) -> None:
    del data[dice.randrange(len(data) + 1) :]


def _repeat(dice: random.Random, data: bytearray) -> None:
    start = dice.randrange(len(data) + 1)
    data[start:start] = data[start : start + dice.randint(1, 200)] * dice.randint(1, 50)


def _remove(dice: random.Random, data: bytearray) -> None:
    start = dice.randrange(len(data) + 1)
    del data[start : start + dice.randint(1, 100)]


def _noise(dice: random.Random, data: bytearray) -> None:
    start = dice.randrange(len(data) + 1)
    data[start : start + 40] = dice.randbytes(dice.randint(0, 80))


MUTATORS: Final[tuple[Mutator, ...]] = (
    _flip_bits,
    _damage_header,
    _large_number,
    _cut,
    _repeat,
    _remove,
    _noise,
)
