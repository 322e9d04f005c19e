"""Finds phrases that show that the author did not see the image."""

import re
from typing import Final

_I: Final = re.IGNORECASE
_SENTENCES: Final = r"(?:descriptions?|sentences?|annotations?)"
_GIVEN: Final = r"(?:provided|given|supplied)"

# Patterns that no question and no answer may contain. An image may show captions as subtitles, but
# these look the same in text: losing a record costs less than a wrong one.
_FORBIDDEN: Final = (
    (
        "spells a special token",
        re.compile(r"<\s*/?\s*(?:image|im_(?:start|end|patch|newline)|s|unk|pad)\s*/?\s*>", _I),
    ),
    (
        "speaks of captions or boxes",
        re.compile(
            r"\bcaptions?\b|\bbbox(?:es)?\b|\bbounding[ -]?box(?:es)?\b"
            r"|\bthe (?:\w+ )?coordinates\b"
            rf"|\b{_GIVEN} (?:{_SENTENCES}|information|texts?|context|details)\b"
            rf"|\b(?:{_SENTENCES}|information|texts?|context|details) {_GIVEN}\b"
            rf"|\b(?:according to|based on|from) (?:the|these|this|your) {_SENTENCES}\b"
            rf"|\b{_SENTENCES} (?:says?|states?|mentions?|specif(?:y|ies)|indicates?)\b"
            r"|\b(?:is|are|was|were|not) (?:\w+ly )?mentioned\b",
            _I,
        ),
    ),
    ("writes coordinates", re.compile(r"[\[(]\s*\d*\.\d+\s*,\s*\d*\.\d+")),
)
_REFUSAL: Final = (
    re.compile(r"\bas an? (?:\w+ )?(?:ai|language model)\b", _I),
    re.compile(
        r"\bi(?:'m| am)? (?:cannot|can't|can not|unable to|not able to|won't|will not) "
        r"(?:assist|help|comply|fulfil|process|provide|access|view|create|generate|write)",
        _I,
    ),
    re.compile(
        r"\bi (?:cannot|can't|can not|do not|don't) (?:actually |directly )?(?:see|have access to) "
        r"(?:the |this |any |an |your )?(?:actual )?(?:images?|pictures?|photos?)\b",
        _I,
    ),
)
_UNSURE: Final = re.compile(
    r"\b(?:not possible|impossible) to (?:tell|say|know|determine|be sure)\b"
    r"|\b(?:cannot|can't|can not|could not|couldn't) be (?:determined|told|known|confirmed|sure)\b"
    r"|\b(?:cannot|can't|can not|unable to) (?:tell|determine|confirm|know|be sure)\b"
    r"|\bit(?:'s| is) (?:unclear|unknown|uncertain|not (?:clear|certain|known))\b",
    _I,
)
_FIRST_SENTENCE: Final = re.compile(r"\A.*?(?:[.!?](?=\s)|\Z)", re.DOTALL)


def find_forbidden_text(text: str) -> str | None:
    """Return the reason why a text is forbidden in questions and answers, or None."""
    return next((reason for reason, pattern in _FORBIDDEN if pattern.search(text)), None)


def find_refusal(answer: str) -> str | None:
    """Return why an answer is unusable, a refusal or an unsure first sentence, or None."""
    plain = answer.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    if any(pattern.search(plain) for pattern in _REFUSAL):
        return "refuses"
    first_sentence = _FIRST_SENTENCE.match(plain)
    return "has no sure answer" if first_sentence and _UNSURE.search(first_sentence[0]) else None
