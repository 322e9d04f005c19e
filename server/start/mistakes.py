"""A mistake in the settings, and the nearest right name."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

# Similarity above which a misspelling is more probable than a word cut short.
CERTAIN: Final = 0.8
# Words that resemble a wrong option more than the right one.
SYNONYMS: Final = {"gpu": "cuda"}


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a setting, and its remedy.

    `written` is the setting as the user wrote it, such as `--port http` or `LLAVA_PORT=http`.
    `setting` names the setting that was probably meant, which has its default until corrected.
    """

    written: str
    problem: str
    setting: str = ""

    def __str__(self) -> str:
        return f"{self.written}: {self.problem}" if self.written else self.problem


def find_nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant.

    It is in another case, has letters swapped, is cut short, or is misspelt.
    """
    by_lower = {each.lower(): each for each in known}
    word = SYNONYMS.get(word.lower(), word.lower())
    swapped = [each for each in by_lower if sorted(each) == sorted(word)]
    begun = [each for each in by_lower if each.startswith(word)]
    near = (
        get_close_matches(word, by_lower, 1, CERTAIN)
        or swapped
        or (begun if len(begun) == 1 else [])
        or get_close_matches(word, by_lower, 1)
    )
    return by_lower[near[0]] if near else None


def suggest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?`, or an empty text if no known word is near."""
    nearest = find_nearest(word, known)
    return f"; did you mean {nearest}?" if nearest else ""
