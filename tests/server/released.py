"""The released LLaVA code's image arithmetic, restated step by step on PIL and NumPy."""

from collections.abc import Sequence
from math import ceil, inf

import numpy as np
import numpy.typing as npt
from PIL import Image

Size = tuple[int, int]
Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

# As llava-hf's configurations have them, but (width, height): for LLaVA-NeXT's 336-pixel tower.
PINPOINTS = ((672, 336), (336, 672), (672, 672), (336, 1008), (1008, 336))


def pinpoints(size: int) -> tuple[Size, ...]:
    """Return LLaVA-NeXT's grids for a tower of another size."""
    return tuple((width // 336 * size, height // 336 * size) for width, height in PINPOINTS)


def best_resolution(image_size: Size, resolutions: Sequence[Size]) -> Size:
    """Return the best resolution, by comparing all of them in order."""
    width, height = image_size
    best, most, least_waste = (0, 0), -1, inf
    for resolution in resolutions:
        scale = min(resolution[0] / width, resolution[1] / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        waste = resolution[0] * resolution[1] - kept
        if kept > most or (kept == most and waste < least_waste):
            best, most, least_waste = resolution, kept, waste
    return best


def anyres_views(image: Image.Image, size: int, resolutions: Sequence[Size]) -> Pixels:
    """Return the image resized to a square, then the tiles of its best resolution."""
    across, down = best_resolution(image.size, resolutions)
    scale_w, scale_h = across / image.width, down / image.height
    if scale_w < scale_h:
        fitted = image.resize((across, min(ceil(image.height * scale_w), down)))
    else:
        fitted = image.resize((min(ceil(image.width * scale_h), across), down))
    canvas = np.zeros((down, across, 3), dtype=np.uint8)
    top, left = (down - fitted.height) // 2, (across - fitted.width) // 2
    canvas[top : top + fitted.height, left : left + fitted.width] = np.asarray(fitted)
    views = [np.asarray(image.resize((size, size)))]
    for row in range(0, down, size):
        views.extend(canvas[row : row + size, x : x + size] for x in range(0, across, size))
    return np.stack(views)


def merge_image_tokens(
    base: Array, tiles: Array, newline: Array, image_size: Size, columns: int, side: int
) -> list[Array]:
    """Walk over the grid of all tiles' patches, skipping the padding.

    `base` is (side², hidden), `tiles` (tiles, side², hidden), `newline` (hidden).
    """
    width, height = image_size
    across, down = columns * side, len(tiles) // columns * side
    top = left = 0
    if width / height > across / down:
        top = (down - int(height * (across / width))) // 2
    else:
        left = (across - int(width * (down / height))) // 2
    image_tokens = list(base)
    for y in range(top, down - top):
        for x in range(left, across - left):
            tile = y // side * columns + x // side
            image_tokens.append(tiles[tile, y % side * side + x % side])
        image_tokens.append(newline)
    return image_tokens
