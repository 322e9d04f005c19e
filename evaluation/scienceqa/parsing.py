"""Parsing of the choice that an answer names."""

import re
from typing import Final

from evaluation.scienceqa.problems import LETTERS

NO_CHOICE: Final = -1
# As released: the last dot matches any character except a line break.
_SENTENCE: Final = re.compile(r"The answer is ([A-Z]).")


def parse_choice(text: str, num_choices: int) -> int:
    """Return the index of the choice that an answer names, or -1.

    Follows `llava/eval/eval_science_qa.py`: a letter alone; a text that begins with a letter, a
    full stop and a space; exactly one "The answer is X." anywhere. A letter beyond the problem's
    choices gives -1, too.
    """
    letter = _parse_letter(text)
    return LETTERS.index(letter) if letter in LETTERS[:num_choices] else NO_CHOICE


def _parse_letter(text: str) -> str:
    if text in LETTERS:
        return text
    if text[:1] in LETTERS and text[1:3] == ". ":
        return text[0]
    found = _SENTENCE.findall(text)
    return found[0] if len(found) == 1 else ""
