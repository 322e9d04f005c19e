"""Grey levels of 16 and 32 bits, scaled to 8, some rows at a time."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]
Grey = npt.NDArray[np.uint8]

# So many pixels are in hand at once, as float64.
BAND: Final = 1 << 20

# Full scales that are taken for granted where they hold all values.
INTEGER_RANGES: Final = (255.0, 65535.0)
FLOAT_RANGES: Final = (1.0, *INTEGER_RANGES)

BITS_PER_SAMPLE: Final = 258
PHOTOMETRIC: Final = 262
WHITE_IS_ZERO: Final = 0


def is_deep(image: Image.Image) -> bool:
    """Tell whether pixels are grey levels of more than 8 bits."""
    return image.mode[0] in "IF"


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Return the grey levels as mode L."""
    if image.mode.startswith("I;16"):
        full = _full_scale(image)
        grey = _map(image, lambda values: (values.astype(np.uint32) * 510 + full) // (2 * full))
    else:
        low, high = _range(image)
        grey = _map(image, lambda values: _scaled(values, low, high))
    if _tags(image).get(PHOTOMETRIC) == WHITE_IS_ZERO:  # which Pillow heeds for 8 bits only
        np.subtract(255, grey, out=grey)
    return Image.fromarray(grey)


def extract_mask(image: Image.Image, key: int) -> Image.Image:
    """Return an alpha channel that leaves out the pixels of one grey level."""
    return Image.fromarray(_map(image, lambda values: np.where(values == key, 0, 255)))


def _map(image: Image.Image, function: Callable[[Array], Array]) -> Grey:
    result = np.empty((image.height, image.width), dtype=np.uint8)
    top = 0
    for band in _bands(image):
        result[top : top + len(band)] = function(band)
        top += len(band)
    return result


def _bands(image: Image.Image) -> Iterator[Array]:
    rows = max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        yield np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))


def _full_scale(image: Image.Image) -> int:
    """Return white: TIFFs may have 12 bits, which Pillow does not scale."""
    return 4095 if _tags(image).get(BITS_PER_SAMPLE) == (12,) else 65535


def _range(image: Image.Image) -> tuple[float, float]:
    """Return the smallest usual range that holds all values, else that of the values."""
    low, high = np.inf, -np.inf
    for band in _bands(image):
        finite = band[np.isfinite(band)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        return 0.0, 1.0
    usual = FLOAT_RANGES if image.mode == "F" else INTEGER_RANGES
    fitting = [full for full in usual if low >= 0 and high <= full]
    return (0.0, fitting[0]) if fitting else (low, high)


def _scaled(values: Array, low: float, high: float) -> Array:
    """Map low..high to 0..255; what is no number becomes black."""
    known = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.rint((known - low) * (255 / ((high - low) or 1.0)))


def _tags(image: Image.Image) -> Any:
    """Return a TIFF's tags."""
    return getattr(image, "tag_v2", {})
