"""ICC profiles: colours become sRGB, unless they are that already."""

import io
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageCms

# By the colour space that a profile is for, Pillow's mode.
MODES: Final = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}

# Cameras' profiles take some hundred bytes and come with every picture: building a transform and
# finding out what it does takes longer than a small image's decode. Large ones are not kept.
KEPT_PROFILES: Final = 16
MAX_KEPT_BYTES: Final = 16 * 1024

# Steps of each channel in the colours that tell whether a profile is sRGB in effect.
STEPS: Final = 9


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an image of mode L, RGB, CMYK or LAB as RGB; L may stay L.

    A profile that is broken, or for another kind of image, is ignored.
    """
    transform = _transform(image.mode, profile) if profile else None
    if transform is None and image.mode == "LAB":
        transform = _to_srgb_transform(
            ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB"
        )
    if transform is None:
        return image
    if image.mode == "RGB":
        ImageCms.applyTransform(image, transform, inPlace=True)
        return image
    return _applied(image, transform)


def _transform(mode: str, data: bytes) -> ImageCms.ImageCmsTransform | None:
    return (_kept_transform if len(data) <= MAX_KEPT_BYTES else _new_transform)(mode, data)


def _new_transform(mode: str, data: bytes) -> ImageCms.ImageCmsTransform | None:
    """Return what turns the profile's colours into sRGB, None if nothing does or need do so."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        if MODES.get(profile.profile.xcolor_space) != mode:
            return None
        transform = _to_srgb_transform(profile, mode)
        return None if _changes_nothing(transform, mode) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


_kept_transform = lru_cache(KEPT_PROFILES)(_new_transform)


def _to_srgb_transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Tell whether colours from all over the cube, or all greys, stay what they are."""
    if mode not in ("L", "RGB"):
        return False
    if mode == "L":
        colours = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    else:
        levels = np.linspace(0, 255, STEPS).astype(np.uint8)
        cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
        colours = Image.fromarray(cube)
    before = np.asarray(colours.convert("RGB")).astype(int)
    return bool(np.abs(np.asarray(_applied(colours, transform)) - before).max() <= 1)


def _applied(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    result = ImageCms.applyTransform(image, transform)
    if result is None:  # only where it works in place
        raise TypeError("no image came back")
    return result
