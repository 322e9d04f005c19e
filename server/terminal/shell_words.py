"""Shell quoting, as terminals insert the path of a file that is dragged into them."""

import re
from typing import Final

_WORD_PART: Final = r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\]"""
_WORD: Final = re.compile(rf"\s*((?:{_WORD_PART})+)(?=\s|$)", re.DOTALL)
_NEEDS_ESCAPE: Final = re.compile(r"([\s'\"\\])")


def split_first_word(text: str) -> tuple[str, str] | None:
    """Return the first word, unquoted, and the rest; None if a quote is not closed."""
    found = _WORD.match(text)
    if found is None:
        return None
    parts = re.findall(_WORD_PART, found[1], re.DOTALL)
    return "".join(map(_unquote, parts)), text[found.end() :]


def split_words(text: str) -> list[str] | None:
    """Return all words, unquoted; None if a quote is not closed."""
    words: list[str] = []
    while text.strip():
        found = split_first_word(text)
        if found is None:
            return None
        word, text = found
        words.append(word)
    return words


def parse_last_word(text: str) -> str:
    """Return the last word, unquoted; empty after a space."""
    word = ""
    while text:
        found = split_first_word(text)
        if found is None:
            return text.lstrip().lstrip("'\"")
        word, text = found
    return word


def escape_word(word: str) -> str:
    """Escape a word with backslashes."""
    return _NEEDS_ESCAPE.sub(r"\\\1", word)


def _unquote(part: str) -> str:
    if part[0] == "'":
        return part[1:-1]
    if part[0] == '"':
        return re.sub(r'\\(["\\$`])', r"\1", part[1:-1])
    return part[-1]
