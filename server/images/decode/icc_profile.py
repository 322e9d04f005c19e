"""ICC profiles: colours are converted to sRGB, unless they are sRGB already."""

import io
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageCms

# Pillow's mode for each colour space of a profile.
MODES: Final = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}

# A camera's profile takes some hundred bytes and comes with every picture. Building and testing its
# transform takes longer than decoding a small image. Large profiles are not cached.
MAX_CACHED_TRANSFORMS: Final = 16
MAX_CACHED_PROFILE_BYTES: Final = 16 * 1024

# Levels per channel of the colours that test whether a profile is sRGB in effect.
TEST_LEVELS: Final = 9


def convert_to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an image of mode L, RGB, CMYK or LAB to RGB; L may stay L.

    A profile that is broken, or for another colour space, is ignored.
    """
    transform = _get_transform(image.mode, profile) if profile else None
    if transform is None and image.mode == "LAB":
        transform = _build_srgb_transform(
            ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB"
        )
    if transform is None:
        return image
    if image.mode == "RGB":
        ImageCms.applyTransform(image, transform, inPlace=True)
        return image
    return _apply(image, transform)


def _get_transform(mode: str, data: bytes) -> ImageCms.ImageCmsTransform | None:
    is_cacheable = len(data) <= MAX_CACHED_PROFILE_BYTES
    return (_build_cached_transform if is_cacheable else _build_transform)(mode, data)


def _build_transform(mode: str, data: bytes) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from a profile to sRGB, None if it is impossible or not needed."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        if MODES.get(profile.profile.xcolor_space) != mode:
            return None
        transform = _build_srgb_transform(profile, mode)
        return None if _is_identity(transform, mode) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


_build_cached_transform = lru_cache(MAX_CACHED_TRANSFORMS)(_build_transform)


def _build_srgb_transform(
    profile: ImageCms.ImageCmsProfile, mode: str
) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")


def _is_identity(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a grid of colours over the RGB cube, or all greys, stay as they are."""
    if mode not in ("L", "RGB"):
        return False
    if mode == "L":
        colours = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    else:
        levels = np.linspace(0, 255, TEST_LEVELS).astype(np.uint8)
        cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
        colours = Image.fromarray(cube)
    before = np.asarray(colours.convert("RGB")).astype(int)
    return bool(np.abs(np.asarray(_apply(colours, transform)) - before).max() <= 1)


def _apply(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    result = ImageCms.applyTransform(image, transform)
    if result is None:  # Pillow returns None only when it works in place
        raise TypeError("no image came back")
    return result
