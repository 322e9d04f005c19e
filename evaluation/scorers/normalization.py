"""Normalisation of short answers, as the official evaluations of VQA and TextVQA do it."""

import re
from typing import Final

from evaluation.scorers.contractions import CONTRACTIONS

_ARTICLES: Final = frozenset({"a", "an", "the"})
_NUMBERS: Final = "zero one two three four five six seven eight nine ten"
_DIGITS: Final = {
    "none": "0",
    **{word: str(number) for number, word in enumerate(_NUMBERS.split())},
}
_PUNCTUATION: Final = ';/[]"{}()=+\\_-><@`,?!'
_PERIOD: Final = re.compile(r"\.(?!\d)")
_COMMA_IN_NUMBER: Final = re.compile(r"\d,+\d")
# The official code passes re.UNICODE where re.sub takes the count.
_MAX_PERIODS: Final = int(re.UNICODE)


def normalize_prediction(text: str) -> str:
    """Normalise a model's answer as EvalAI's answer processor does (`m4c_evaluator.py`).

    The upload files of VQAv2 and VizWiz contain these, and TextVQA compares these.
    """
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's")
    return normalize_vqa(text.strip())


def normalize_vqa(text: str) -> str:
    """Normalise punctuation, numbers, articles and contractions as `vqaEval.py` does."""
    return _normalize_words(_normalize_punctuation(strip_whitespace(text)))


def strip_whitespace(text: str) -> str:
    """Return a text as `vqaEval.py` compares it, normalised or not: on one line, stripped."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def _normalize_punctuation(text: str) -> str:
    """Remove marks next to a space, replace others by a space, remove periods outside numbers."""
    has_comma_in_number = _COMMA_IN_NUMBER.search(text) is not None
    result = text
    for mark in _PUNCTUATION:
        is_loose = f"{mark} " in text or f" {mark}" in text
        result = result.replace(mark, "" if is_loose or has_comma_in_number else " ")
    return _PERIOD.sub("", result, count=_MAX_PERIODS)


def _normalize_words(text: str) -> str:
    words = (_DIGITS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)
