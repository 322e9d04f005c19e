"""Words as a shell writes them: what a terminal inserts when a file is dragged into it."""

import re
from typing import Final

_PIECE: Final = r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\]"""
_WORD: Final = re.compile(rf"\s*((?:{_PIECE})+)(?=\s|$)", re.DOTALL)
_NEEDS_ESCAPE: Final = re.compile(r"([\s'\"\\])")


def first_word(text: str) -> tuple[str, str] | None:
    """Return the first word, unquoted, and what follows; None where quotes are left open."""
    found = _WORD.match(text)
    if found is None:
        return None
    pieces = re.findall(_PIECE, found[1], re.DOTALL)
    return "".join(map(_unquoted, pieces)), text[found.end() :]


def all_words(text: str) -> list[str] | None:
    """Return all words, unquoted; None where quotes are left open."""
    words: list[str] = []
    while text.strip():
        found = first_word(text)
        if found is None:
            return None
        word, text = found
        words.append(word)
    return words


def last_word(text: str) -> str:
    """Return the word that the text ends with, unquoted; empty after a space."""
    word = ""
    while text:
        found = first_word(text)
        if found is None:
            return text.lstrip().lstrip("'\"")
        word, text = found
    return word


def escaped(word: str) -> str:
    """Write a word with backslashes before what would end it."""
    return _NEEDS_ESCAPE.sub(r"\\\1", word)


def _unquoted(piece: str) -> str:
    if piece[0] == "'":
        return piece[1:-1]
    if piece[0] == '"':
        return re.sub(r'\\(["\\$`])', r"\1", piece[1:-1])
    return piece[-1]
