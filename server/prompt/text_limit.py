"""Bounds the characters that one token can stand for, to refuse long text before tokenising."""

from typing import Any, Final

from server.prompt.sentencepiece import iterate_steps

# Normalizers that never make text shorter.
LENGTH_PRESERVING: Final = ("Prepend", "Lowercase", "ByteLevel")
# Unicode composition merges at most four characters into one.
COMPOSITION: Final = 4
# Assumed length of a word that becomes one unknown token; it could have any length.
UNKNOWN_WORD: Final = 1024


def measure_longest_token(tokenizer: dict[str, Any]) -> int:
    """Return the most characters of text that one token of a tokenizer.json can stand for."""
    model = tokenizer["model"]
    vocabulary = model["vocab"]
    tokens = vocabulary if isinstance(vocabulary, dict) else (token for token, _ in vocabulary)
    longest = max(map(len, tokens), default=1)
    added = max((len(token["content"]) for token in tokenizer["added_tokens"]), default=1)
    longest = max(longest, added)
    if _merges_unknown_characters(model):
        longest = max(longest, UNKNOWN_WORD)
    return longest * (1 if _preserves_length(tokenizer.get("normalizer")) else COMPOSITION)


def _merges_unknown_characters(model: dict[str, Any]) -> bool:
    """Whether one token may stand for many characters outside the vocabulary."""
    if model.get("byte_fallback"):
        return False
    return model.get("type") != "BPE" or bool(model.get("unk_token") and model.get("fuse_unk"))


def _preserves_length(normalizer: dict[str, Any] | None) -> bool:
    return all(
        step["type"] in LENGTH_PRESERVING
        or (step["type"] == "Replace" and _is_no_shorter(step["pattern"], step["content"]))
        for step in iterate_steps(normalizer, "normalizers")
    )


def _is_no_shorter(pattern: dict[str, str], content: str) -> bool:
    return len(content) >= len(pattern.get("String", content + "."))
