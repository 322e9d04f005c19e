"""A release's S2 tower: the sizes at which it sees an image."""

from llava_spec.s2 import read_s2_scales
from model_store.convert.json_file import Json
from model_store.errors import ConversionError


def read_scales(config: Json, image_size: int) -> tuple[int, ...]:
    """Return the sizes, the smallest first; none without `s2`. Raises `ConversionError`."""
    try:
        return read_s2_scales(config, image_size)
    except ValueError as error:
        raise ConversionError(str(error)) from None
