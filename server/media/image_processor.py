"""Preprocessing as the checkpoint was trained: pad or crop, resize, to uint8 views.

Runs in decode workers, so it imports no torch. Rescaling and normalising happen on the tower's
device: uint8 is a quarter of the bytes to move.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from server.checkpoint import CLIP_MEAN, AspectRatio

Pixels = npt.NDArray[np.uint8]

# The released code pads with the mean of CLIP's training images, cut to integers.
PAD_COLOR: Final = (
    int(255 * CLIP_MEAN[0]),
    int(255 * CLIP_MEAN[1]),
    int(255 * CLIP_MEAN[2]),
)


def preprocess(image: Image.Image, size: int, aspect_ratio: AspectRatio) -> Pixels:
    """Turn an RGB image into the tower's views.

    Follows `process_images` of the released LLaVA code and CLIP's preprocessing up to the rescale:
    `pad` pastes the image centred on a square, `square` crops the long sides away.

    Returns uint8 of shape (num_views, size, size, 3); one view for both aspect ratios.
    """
    if aspect_ratio == "pad":
        image = expand2square(image)
    view = center_crop(resize_shortest_edge(image, size), size)
    return np.asarray(view)[np.newaxis]  # (1, size, size, 3)


def expand2square(image: Image.Image) -> Image.Image:
    """Paste an image centred on a square of its longer side (released LLaVA code)."""
    width, height = image.size
    if width == height:
        return image
    side = max(width, height)
    square = Image.new("RGB", (side, side), PAD_COLOR)
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return square


def resize_shortest_edge(image: Image.Image, size: int) -> Image.Image:
    """Resize (bicubic) so that the shorter side is `size`, as transformers' CLIP processor does."""
    width, height = image.size
    if width <= height:
        target = (size, int(size * height / width))
    else:
        target = (int(size * width / height), size)
    return image.resize(target, Image.Resampling.BICUBIC)


def center_crop(image: Image.Image, size: int) -> Image.Image:
    """Cut a centred square out of an image that is at least that large."""
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))
