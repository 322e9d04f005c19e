"""A client's text in messages and paths: shortened, and quoted."""

from typing import Final

# Characters of a client's text in an error message or its `param`.
MAX_QUOTED_LENGTH: Final = 100


def cut(text: str, max_length: int = MAX_QUOTED_LENGTH) -> str:
    """Return a client's text for a message, shortened to `max_length` characters."""
    return text if len(text) <= max_length else text[: max_length - 1] + "…"


def quote_key(key: str) -> str:
    """Return a client's key as a step of a path, e.g. `['50256']`."""
    return f"['{cut(key)}']"
