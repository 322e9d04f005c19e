"""SentencePiece's prefix space, and how a tokenizer.json declares it."""

from collections.abc import Iterator
from typing import Any, Final, Literal

# A space before each span of text between special tokens, only before a chunk's first, or none.
PrefixSpace = Literal["each", "first", "none"]

SPACE: Final = "▁"
SCHEMES: Final[dict[str, PrefixSpace]] = {"always": "each", "first": "first", "never": "none"}


def remove_prefix_space(tokenizer: dict[str, Any]) -> PrefixSpace:
    """Remove the prefix space from a tokenizer.json's content; return where it was added.

    The caller has to add `SPACE` itself. The library's Metaspace omits it before a space, where
    SentencePiece does not, and cannot tell where a chunk starts.
    """
    prefix_space: PrefixSpace = "none"
    for normalizer in iterate_steps(tokenizer.get("normalizer"), "normalizers"):
        if normalizer["type"] == "Prepend" and normalizer["prepend"] == SPACE:
            normalizer["prepend"] = ""
            prefix_space = "each"
    for pre_tokenizer in iterate_steps(tokenizer.get("pre_tokenizer"), "pretokenizers"):
        if pre_tokenizer["type"] == "Metaspace":
            prefix_space = SCHEMES[pre_tokenizer["prepend_scheme"]]
            pre_tokenizer["prepend_scheme"] = "never"
    return prefix_space


def iterate_steps(component: dict[str, Any] | None, key: str) -> Iterator[dict[str, Any]]:
    """Yield a component of a tokenizer.json, or the steps of a `Sequence` under `key`."""
    if component is not None and component["type"] == "Sequence":
        for step in component[key]:
            yield from iterate_steps(step, key)
    elif component is not None:
        yield component
