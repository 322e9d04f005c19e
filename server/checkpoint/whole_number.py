"""A configuration's whole number, such as a size or a token id, checked."""

from collections.abc import Mapping
from typing import Any


def read_whole_number(config: Mapping[str, Any], key: str, *, minimum: int = 1) -> int:
    """Return the number. Raises `ValueError` for another value, `KeyError` if it is missing."""
    number = config[key]
    if type(number) is not int or number < minimum:
        raise ValueError(f"{key} {number!r} is not a whole number of at least {minimum}")
    return number
