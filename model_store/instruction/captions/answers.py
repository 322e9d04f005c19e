"""Parses the teacher's answers; a malformed one is rejected with a reason, never repaired."""

import re
from typing import Final

from pydantic import ValidationError

from asking.files import FileModel
from asking.wire import Answer
from model_store.instruction.captions.content_checks import find_forbidden_text, find_refusal
from model_store.instruction.records import Kind, Pair

# `Question:` or `Answer:` at a line's start, perhaps numbered, perhaps in bold.
_LABEL: Final = re.compile(r"^[ \t]*\**(question|answer)[ \t]*\d*[ \t]*:[ \t]*\**", re.I | re.M)
_RULE: Final = re.compile(r"^[ \t]*={3,}[ \t]*$", re.M)
_FEWEST_TURNS: Final = 2
_FINISH_REASONS: Final = {
    "length": "cut off by the limit of tokens",
    "content_filter": "stopped by a content filter",
    "refusal": "refuses",
}


class _JsonPair(FileModel):
    question: str
    answer: str


class MalformedAnswer(Exception):
    """An answer that yields no record. The message is one of a fixed set of reasons."""


def parse_pairs(kind: Kind, answer: Answer) -> tuple[Pair, ...]:
    """Return questions and answers. A detailed description's question is empty: it is drawn later.

    Raises `MalformedAnswer`.
    """
    if answer.finish_reason in _FINISH_REASONS:
        raise MalformedAnswer(_FINISH_REASONS[answer.finish_reason])
    text = answer.text.replace("\r\n", "\n").strip()
    if not text:
        raise MalformedAnswer("empty")
    pairs = _parse_text(kind, text)
    for pair in pairs:
        _check_text(pair)
    _check_count(kind, len(pairs))
    return pairs


def _parse_text(kind: Kind, text: str) -> tuple[Pair, ...]:
    if kind == "detail":
        return (("", _parse_description(text)),)
    return _parse_json_lines(text) if text.startswith("{") else _parse_dialogue(text)


def _parse_json_lines(text: str) -> tuple[Pair, ...]:
    """Return the pairs of one JSON object a line, which custom prompts may ask for."""
    try:
        pairs = [_JsonPair.model_validate_json(line) for line in text.splitlines() if line.strip()]
    except ValidationError:
        raise MalformedAnswer("not a question and an answer as JSON a line") from None
    if not all(pair.question.strip() and pair.answer.strip() for pair in pairs):
        raise MalformedAnswer("an empty question or answer")
    return tuple((pair.question.strip(), pair.answer.strip()) for pair in pairs)


def _parse_description(text: str) -> str:
    if _LABEL.search(text) or _RULE.search(text):
        raise MalformedAnswer("not a description alone")
    return text


def _parse_dialogue(text: str) -> tuple[Pair, ...]:
    before, *parts = _LABEL.split(text)
    # A refusal has no questions and answers either; it is the better reason.
    if not parts and (refusal := find_refusal(text)):
        raise MalformedAnswer(refusal)
    if not parts:
        raise MalformedAnswer("no question and answer")
    if _RULE.sub("", before).strip():
        raise MalformedAnswer("text outside of questions and answers")
    names = [name.lower() for name in parts[::2]]
    if names != ["question", "answer"] * (len(names) // 2):
        raise MalformedAnswer("questions and answers do not take turns")
    texts = [_strip_rule(part) for part in parts[1::2]]
    return tuple(zip(texts[::2], texts[1::2], strict=True))


def _strip_rule(part: str) -> str:
    """Return the text before the rule.

    Raises `MalformedAnswer` where text follows the rule, or where none precedes it.
    """
    text, *after = _RULE.split(part)
    if any(each.strip() for each in after):
        raise MalformedAnswer("text outside of questions and answers")
    if not text.strip():
        raise MalformedAnswer("an empty question or answer")
    return text.strip()


def _check_text(pair: Pair) -> None:
    question, answer = pair
    reason = find_forbidden_text(question) or find_forbidden_text(answer) or find_refusal(answer)
    if reason:
        raise MalformedAnswer(reason)


def _check_count(kind: Kind, count: int) -> None:
    if kind == "conversation" and count < _FEWEST_TURNS:
        raise MalformedAnswer("a conversation of a single turn")
    if kind == "complex" and count > 1:
        raise MalformedAnswer("more than one question")
