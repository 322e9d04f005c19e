"""Grey levels of 16 and 32 bits, scaled to 8, a band of rows at a time."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]
Grey = npt.NDArray[np.uint8]

# Bounds the pixels held as float64 at once.
BAND_PIXELS: Final = 1 << 20

# Usual white levels. The smallest that is not exceeded counts as white.
INTEGER_WHITES: Final = (255.0, 65535.0)
FLOAT_WHITES: Final = (1.0, *INTEGER_WHITES)

# TIFF tags.
BITS_PER_SAMPLE: Final = 258
PHOTOMETRIC: Final = 262
WHITE_IS_ZERO: Final = 0


def has_deep_grey(image: Image.Image) -> bool:
    """Whether pixels are grey levels of more than 8 bits."""
    return image.mode[0] in "IF"


def convert_to_8_bits(image: Image.Image) -> Image.Image:
    """Return the grey levels as mode L."""
    if image.mode.startswith("I;16"):
        white = _white_level(image)
        grey = _map(image, lambda values: (values.astype(np.uint32) * 510 + white) // (2 * white))
    else:
        low, high = _find_range(image)
        grey = _map(image, lambda values: _scale(values, low, high))
    # Pillow honours WhiteIsZero for 8 bits only.
    if _read_tiff_tags(image).get(PHOTOMETRIC) == WHITE_IS_ZERO:
        np.subtract(255, grey, out=grey)
    return Image.fromarray(grey)


def extract_mask(image: Image.Image, key: int) -> Image.Image:
    """Return an alpha channel in which the pixels of grey level `key` are transparent."""
    return Image.fromarray(_map(image, lambda values: np.where(values == key, 0, 255)))


def _map(image: Image.Image, function: Callable[[Array], Array]) -> Grey:
    result = np.empty((image.height, image.width), dtype=np.uint8)
    top = 0
    for band in _iterate_bands(image):
        result[top : top + len(band)] = function(band)
        top += len(band)
    return result


def _iterate_bands(image: Image.Image) -> Iterator[Array]:
    num_rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, num_rows):
        yield np.asarray(image.crop((0, top, image.width, min(top + num_rows, image.height))))


def _white_level(image: Image.Image) -> int:
    """Return the level of white. TIFFs may have 12 bits, which Pillow does not scale."""
    return 4095 if _read_tiff_tags(image).get(BITS_PER_SAMPLE) == (12,) else 65535


def _find_range(image: Image.Image) -> tuple[float, float]:
    """Return the smallest usual range that holds all values, else the range of the values."""
    low, high = np.inf, -np.inf
    for band in _iterate_bands(image):
        finite = band[np.isfinite(band)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        return 0.0, 1.0
    usual_whites: Sequence[float] = FLOAT_WHITES if image.mode == "F" else INTEGER_WHITES
    if image.format == "PPM" and image.mode == "I":  # which says what white is: Pillow scales
        usual_whites = usual_whites[-1:]
    whites = [white for white in usual_whites if low >= 0 and high <= white]
    return (0.0, whites[0]) if whites else (low, high)


def _scale(values: Array, low: float, high: float) -> Array:
    """Map low..high to 0..255; NaN becomes black."""
    numbers = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.rint((numbers - low) * (255 / ((high - low) or 1.0)))


def _read_tiff_tags(image: Image.Image) -> Any:
    """Return a TIFF's tags, {} for other formats."""
    return getattr(image, "tag_v2", {})
