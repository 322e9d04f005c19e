"""Reads what the teacher wrote; what is malformed is named, never mended."""

import re
from typing import Final

from asking.wire import Answer
from model_store.instruction.captions.content_checks import find_dodge, find_flaw
from model_store.instruction.records import Kind, Pair

# `Question:` or `Answer:` at a line's start, perhaps numbered, perhaps in bold.
_MARK: Final = re.compile(r"^[ \t]*\**(question|answer)[ \t]*\d*[ \t]*:[ \t]*\**", re.I | re.M)
_RULE: Final = re.compile(r"^[ \t]*={3,}[ \t]*$", re.M)
_FEWEST_TURNS: Final = 2
_ENDS: Final = {
    "length": "cut off by the limit of tokens",
    "content_filter": "stopped by a content filter",
    "refusal": "refuses",
}


class Malformed(Exception):
    """An answer that makes no record; the message is the reason, the same for all of its sort."""


def read_pairs(kind: Kind, answer: Answer) -> tuple[Pair, ...]:
    """Questions and answers; of a detailed description the question is empty: it is not its own.

    Raises `Malformed`.
    """
    if answer.finish_reason in _ENDS:
        raise Malformed(_ENDS[answer.finish_reason])
    text = answer.text.replace("\r\n", "\n").strip()
    if not text:
        raise Malformed("empty")
    pairs = (("", _description(text)),) if kind == "detail" else _dialogue(text)
    for pair in pairs:
        _demand_flawless(pair)
    _demand_count(kind, len(pairs))
    return pairs


def _description(text: str) -> str:
    if _MARK.search(text) or _RULE.search(text):
        raise Malformed("not a description alone")
    return text


def _dialogue(text: str) -> tuple[Pair, ...]:
    before, *parts = _MARK.split(text)
    # A refusal has no form, and is worth more as a reason than that it has none.
    if not parts and (dodge := find_dodge(text)):
        raise Malformed(dodge)
    if not parts:
        raise Malformed("no question and answer")
    if _RULE.sub("", before).strip():
        raise Malformed("text outside of questions and answers")
    names = [name.lower() for name in parts[::2]]
    if names != ["question", "answer"] * (len(names) // 2):
        raise Malformed("questions and answers do not take turns")
    said = [_only_text(part) for part in parts[1::2]]
    return tuple(zip(said[::2], said[1::2], strict=True))


def _only_text(part: str) -> str:
    """What stands up to the rule. Raises `Malformed` where something follows it, or nothing."""
    said, *after = _RULE.split(part)
    if any(each.strip() for each in after):
        raise Malformed("text outside of questions and answers")
    if not said.strip():
        raise Malformed("an empty question or answer")
    return said.strip()


def _demand_flawless(pair: Pair) -> None:
    question, answer = pair
    flaw = find_flaw(question) or find_flaw(answer) or find_dodge(answer)
    if flaw:
        raise Malformed(flaw)


def _demand_count(kind: Kind, count: int) -> None:
    if kind == "conversation" and count < _FEWEST_TURNS:
        raise Malformed("a conversation of a single turn")
    if kind == "complex" and count > 1:
        raise Malformed("more than one question")
