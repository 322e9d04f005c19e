"""Whatever Pillow loads, as RGB: alpha on a colour, profiles applied, deep greys scaled."""

from typing import Final

from PIL import Image, ImageChops

from server.images.decode import ranges
from server.images.decode.image_processor import Color
from server.images.decode.profile import to_srgb

WHITE: Final = (255, 255, 255)

# Modes that a colour profile may be for.
PROFILED: Final = ("L", "RGB", "CMYK", "LAB")

# Modes without colour, with and without alpha.
GREY: Final = ("1", "L", "LA", "La")


def to_rgb(image: Image.Image, alpha_color: Color = WHITE) -> Image.Image:
    """Turn a loaded image into RGB. May work on the image's own pixels."""
    color, alpha = _split(image)
    rgb = to_srgb(color, image.info.get("icc_profile"))
    if rgb.mode != "RGB":
        rgb = rgb.convert("RGB")
    if alpha is not None:
        # Pastes the background into the picture, which needs no canvas beside it.
        rgb.paste(alpha_color, mask=ImageChops.invert(alpha))
    return rgb


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the colours, in a mode a profile may be for, and alpha where there is some."""
    if ranges.is_deep(image):
        return _split_deep(image)
    if image.has_transparency_data:
        return _split_transparent(image)
    if image.mode in PROFILED:
        return image, None
    return image.convert("L" if image.mode in GREY else "RGB"), None


def _split_deep(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    key = image.info.get("transparency")
    alpha = ranges.extract_mask(image, key) if isinstance(key, int) else None
    return ranges.to_eight_bits(image), alpha


def _split_transparent(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    if image.mode not in GREY:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        return rgba.convert("RGB"), rgba.getchannel("A")
    if image.mode in ("LA", "La"):
        grey = image if image.mode == "LA" else image.convert("LA")
        return grey.getchannel("L"), grey.getchannel("A")
    levels = image if image.mode == "L" else image.convert("L")
    key = image.info["transparency"]
    return levels, levels.point([0 if level == key else 255 for level in range(256)])
