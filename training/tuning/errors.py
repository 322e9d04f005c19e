"""What a run is refused for, other than its options."""

from typing import Final

# What json raises for a text that is no JSON, or one nested deeper than Python's stack.
NO_JSON: Final = (ValueError, RecursionError)


class DataError(Exception):
    """Training data that cannot be used; its text says where and why."""
