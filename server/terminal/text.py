"""Sanitizing of untrusted text for terminals and JSON."""

import re
from typing import Final

# C0 without tab and newline, DEL and C1, which control the terminal; and the bidirectional
# controls, with which text can look like other text.
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def escape_control_characters(text: str) -> str:
    """Escape control characters; carriage returns are removed."""
    return _CONTROL.sub(_escape, text)


def to_one_line(text: str) -> str:
    """Escape control characters and join the lines."""
    return " ".join(escape_control_characters(text).split())


def replace_surrogates(text: str) -> str:
    """Join surrogate pairs and replace lone surrogates, which UTF-8 cannot encode."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == "\r":
        return ""
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
