"""Where SentencePiece puts a space that nobody wrote, and how a tokenizer.json says so."""

from collections.abc import Iterator
from typing import Any, Final, Literal

# In front of each stretch of text, of the first in what is tokenised at once, or of none.
PrefixSpace = Literal["each", "first", "none"]

SPACE: Final = "▁"
SCHEMES: Final[dict[str, PrefixSpace]] = {"always": "each", "first": "first", "never": "none"}


def remove_prefix_space(tokenizer: dict[str, Any]) -> PrefixSpace:
    """Take the prefix space out of a tokenizer.json's content; return where it would have been.

    Whoever tokenises adds `SPACE` himself: the library's Metaspace leaves it out in front of a
    space, where SentencePiece does not, and knows no chunks.
    """
    found: PrefixSpace = "none"
    for normalizer in _steps(tokenizer.get("normalizer"), "normalizers"):
        if normalizer["type"] == "Prepend" and normalizer["prepend"] == SPACE:
            normalizer["prepend"] = ""
            found = "each"
    for pre_tokenizer in _steps(tokenizer.get("pre_tokenizer"), "pretokenizers"):
        if pre_tokenizer["type"] == "Metaspace":
            found = SCHEMES[pre_tokenizer["prepend_scheme"]]
            pre_tokenizer["prepend_scheme"] = "never"
    return found


def _steps(component: dict[str, Any] | None, within: str) -> Iterator[dict[str, Any]]:
    if component is not None and component["type"] == "Sequence":
        for step in component[within]:
            yield from _steps(step, within)
    elif component is not None:
        yield component
