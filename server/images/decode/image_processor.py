"""Preprocesses images as in training: pad, crop or tile, then resize, to uint8 views.

Runs in decode workers, so it imports no torch. Rescaling and normalising happen on the tower's
device: uint8 views are a quarter of the bytes to move.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from llava_spec.anyres import Size, fit_within, select_best_resolution
from llava_spec.image_settings import CLIP_MEAN, compute_pad_color
from server.images.decode.padding import paste_centred, resize_padded

Pixels = npt.NDArray[np.uint8]
Color = tuple[int, int, int]

# The released code pads with the mean of CLIP's training images, cut to integers.
PAD_COLOR: Final = compute_pad_color(CLIP_MEAN)


def preprocess(
    image: Image.Image,
    size: int,
    aspect_ratio: Literal["square", "pad", "stretch"],
    pad_color: Color = PAD_COLOR,
) -> Pixels:
    """Turn an RGB image into one view.

    Follows `process_images` of the released LLaVA code and CLIP's preprocessing up to the rescale.
    `pad` pastes the image centred on a square; `square` crops the longer side; `stretch` resizes
    both sides, as SigLIP's processor does.

    Returns uint8 of shape (1, size, size, 3).
    """
    if aspect_ratio == "pad":
        view = resize_padded(image, size, pad_color)
    elif aspect_ratio == "stretch":
        view = image.resize((size, size), Image.Resampling.BICUBIC)
    else:
        view = center_crop(resize_shortest_edge(image, size), size)
    return np.asarray(view)[np.newaxis]


def preprocess_anyres(
    image: Image.Image, size: int, grid_pinpoints: Sequence[Size], image_size: Size
) -> Pixels:
    """Turn an RGB image into its base view and the tiles of its grid, row by row.

    Follows `process_anyres_image` of the released code: the base view is the image squeezed into a
    square; the tiles are cut from the image resized (bicubic, aspect ratio kept) and padded black.
    `image_size` is the full (width, height), also for a scaled-down `image`. Without pinpoints,
    only the base view is returned.

    Returns uint8 of shape (1 + tiles, size, size, 3).
    """
    views = [image.resize((size, size), Image.Resampling.BICUBIC)]
    if grid_pinpoints:
        resolution = select_best_resolution(image_size, grid_pinpoints)
        resized = image.resize(fit_within(image_size, resolution), Image.Resampling.BICUBIC)
        views.extend(divide_to_patches(paste_centred(resized, resolution, (0, 0, 0)), size))
    return np.stack([np.asarray(view) for view in views])


def divide_to_patches(image: Image.Image, size: int) -> Iterator[Image.Image]:
    """Cut an image whose sides are multiples of `size` into squares, row by row."""
    for top in range(0, image.height, size):
        for left in range(0, image.width, size):
            yield image.crop((left, top, left + size, top + size))


def resize_shortest_edge(image: Image.Image, size: int) -> Image.Image:
    """Resize (bicubic) so that the shorter side is `size`, as transformers' CLIP processor does."""
    width, height = image.size
    if width <= height:
        target = (size, int(size * height / width))
    else:
        target = (int(size * width / height), size)
    return image.resize(target, Image.Resampling.BICUBIC)


def center_crop(image: Image.Image, size: int) -> Image.Image:
    """Crop a centred square of `size` from an image that is at least that large."""
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))
