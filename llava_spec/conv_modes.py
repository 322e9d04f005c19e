"""Conversation templates of the released code that this software does not have, and why."""

from collections.abc import Mapping
from typing import Final

_EXAMPLE: Final = (
    "the example conversation that it begins with is not part of this software. Take llava_v0, and"
    " send the example as the first two messages: the prompt is then the same"
)
MISSING_CONV_MODES: Final[Mapping[str, str]] = {"v0": _EXAMPLE, "default": _EXAMPLE}
