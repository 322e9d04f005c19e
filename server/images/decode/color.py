"""Every mode that Pillow loads, converted to RGB: alpha, ICC profiles and deep grey levels."""

from typing import Final

from PIL import Image, ImageChops

from server.images.decode.grey_levels import convert_to_8_bits, extract_mask, has_deep_grey
from server.images.decode.icc_profile import convert_to_srgb
from server.images.decode.image_processor import Color

WHITE: Final = (255, 255, 255)

# Modes that an ICC profile can apply to.
PROFILE_MODES: Final = ("L", "RGB", "CMYK", "LAB")

# Modes without colour, with and without alpha.
GREY_MODES: Final = ("1", "L", "LA", "La")


def convert_to_rgb(
    image: Image.Image, alpha_color: Color | None = WHITE, *, color_management: bool = True
) -> Image.Image:
    """Convert a loaded image to RGB, on a background of `alpha_color`; None drops alpha.

    Without `color_management`, colours are those of Pillow's `convert("RGB")`, as in the released
    LLaVA code's loader: ICC profiles are ignored, and levels above 255 are white.
    May change the image's own pixels.
    """
    if color_management:
        color, alpha = _split(image)
        color = convert_to_srgb(color, image.info.get("icc_profile"))
    else:
        color, alpha = image, None if alpha_color is None else _split(image)[1]
    rgb = color if color.mode == "RGB" else color.convert("RGB")
    if alpha is not None and alpha_color is not None:
        # Pasting the background into the image needs no second canvas.
        rgb.paste(alpha_color, mask=ImageChops.invert(alpha))
    return rgb


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the colours, in one of `PROFILE_MODES`, and alpha if there is any."""
    if has_deep_grey(image):
        return _split_deep_grey(image)
    if image.has_transparency_data:
        return _split_transparent(image)
    if image.mode in PROFILE_MODES:
        return image, None
    return image.convert("L" if image.mode in GREY_MODES else "RGB"), None


def _split_deep_grey(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    key = image.info.get("transparency")
    alpha = extract_mask(image, key) if isinstance(key, int) else None
    return convert_to_8_bits(image), alpha


def _split_transparent(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    if image.mode not in GREY_MODES:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        return rgba.convert("RGB"), rgba.getchannel("A")
    if image.mode in ("LA", "La"):
        grey = image if image.mode == "LA" else image.convert("LA")
        return grey.getchannel("L"), grey.getchannel("A")
    levels = image if image.mode == "L" else image.convert("L")
    key = image.info["transparency"]
    return levels, levels.point([0 if level == key else 255 for level in range(256)])
