"""Digits and words printed in several typefaces."""

import functools
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

# Matplotlib ships these typefaces, so every machine draws the same.
_FILES: Final = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSansMono-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
)
_FONT_SIZE: Final = 96


def render_text_mask(text: str, font: int, radius: float, rotation: float) -> Image.Image:
    """Render `text` to fit a square of side 2 x `radius`; grey levels are coverage.

    `rotation` is degrees, clockwise.
    """
    return _resize_and_rotate(_render_text(text, font), radius, rotation)


def _resize_and_rotate(mask: Image.Image, radius: float, rotation: float) -> Image.Image:
    scale = 2 * radius / max(mask.size)
    size = (max(round(mask.width * scale), 1), max(round(mask.height * scale), 1))
    resized = mask.resize(size, Image.Resampling.BOX)
    return resized.rotate(-rotation, Image.Resampling.BICUBIC, expand=True) if rotation else resized


@functools.lru_cache(maxsize=512)
def _render_text(text: str, font: int) -> Image.Image:
    typeface = _load_typeface(font % (len(_FILES) + 1))
    left, top, right, bottom = (round(edge) for edge in typeface.getbbox(text))
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=typeface)
    return image


@functools.cache
def _load_typeface(index: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if index == len(_FILES):
        return ImageFont.load_default(_FONT_SIZE)  # Pillow's own
    return ImageFont.truetype(_find_typefaces() / _FILES[index], _FONT_SIZE)


def _find_typefaces() -> Path:
    try:  # here, since the evaluations that draw nothing need no matplotlib
        import matplotlib
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "matplotlib, whose typefaces are drawn, is not installed: pip install matplotlib"
        ) from None
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"
