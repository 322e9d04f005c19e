"""What a run is refused for, and how a library's message becomes a line."""

from typing import Final

# What `json` raises for text that is not JSON, or is nested deeper than Python's stack.
NO_JSON: Final = (ValueError, RecursionError)


def first_line(error: Exception) -> str:
    """Return the first line of a library's message; the class's name where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class OptionError(Exception):
    """Options that are wrong, contradict each other or would do nothing; its text says which."""


class DataError(Exception):
    """Training data that cannot be used; its text says where and why."""


class MissingImageError(DataError):
    """An image of a record is not there."""
