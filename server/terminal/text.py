"""Text that strangers wrote, made fit for a terminal and for JSON."""

import re
from typing import Final

# What a terminal would obey: C0 without tab and newline, DEL, C1; and what turns the direction of
# writing, by which text can pose as other text.
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def escape_control_characters(text: str) -> str:
    """Write control characters as escapes; a carriage return, which ends lines too, is left out."""
    return _CONTROL.sub(_escaped, text)


def to_one_line(text: str) -> str:
    """Make text harmless and put it on one line."""
    return " ".join(escape_control_characters(text).split())


def replace_surrogates(text: str) -> str:
    """Replace halves of characters, which UTF-8 cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] == "\r":
        return ""
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
