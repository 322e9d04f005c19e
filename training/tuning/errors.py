"""What a run is refused for."""

from typing import Final

# What `json` raises for text that is not JSON, or is nested deeper than Python's stack.
NO_JSON: Final = (ValueError, RecursionError)


class OptionError(Exception):
    """Options that are wrong, contradict each other or would do nothing; its text says which."""


class DataError(Exception):
    """Training data that cannot be used; its text says where and why."""


class MissingImageError(DataError):
    """An image of a record is not there."""
