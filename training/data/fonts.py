"""Digits and words printed in several typefaces."""

import functools
from pathlib import Path
from typing import Final

import matplotlib
from PIL import Image, ImageDraw, ImageFont

# The typefaces that come with Matplotlib, so that every machine draws the same.
_FILES: Final = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSansMono-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
)
_DRAWN_AT: Final = 96


def text_mask(text: str, font: int, radius: float, rotation: float) -> Image.Image:
    """Print `text` as large as a square of side 2 x `radius` allows; grey levels are coverage."""
    return _scaled(_print(text, font), radius, rotation)


def _scaled(printed: Image.Image, radius: float, rotation: float) -> Image.Image:
    scale = 2 * radius / max(printed.size)
    size = (max(round(printed.width * scale), 1), max(round(printed.height * scale), 1))
    turned = printed.resize(size, Image.Resampling.BOX)
    return turned.rotate(-rotation, Image.Resampling.BICUBIC, expand=True) if rotation else turned


@functools.lru_cache(maxsize=512)
def _print(text: str, font: int) -> Image.Image:
    face = _typeface(font % (len(_FILES) + 1))
    left, top, right, bottom = (round(edge) for edge in face.getbbox(text))
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=face)
    return image


@functools.cache
def _typeface(number: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if number == len(_FILES):
        return ImageFont.load_default(_DRAWN_AT)  # the one that comes with Pillow
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / _FILES[number], _DRAWN_AT)
