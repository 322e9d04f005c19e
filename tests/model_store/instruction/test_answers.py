"""The teacher's answers: well-formed ones are parsed, malformed ones rejected with a reason."""

import json

import pytest

from asking.wire import Answer
from model_store.instruction.captions.answers import MalformedAnswer, parse_pairs
from model_store.instruction.captions.prompts.choice import PROMPTS
from model_store.instruction.captions.prompts.conversation_boxes import CONVERSATION_WITH_BOXES
from model_store.instruction.records import KINDS, Kind
from tests.model_store.instruction.teacher import format_pairs

SEEN = ("What is on the plate?", "A donut.")
WHERE = ("Where is the plate?", "It stands on the table.\n\nIt is to the left of the cup.")


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_have_the_form_that_they_show(kind: Kind) -> None:
    prompts = [PROMPTS[kind], *([CONVERSATION_WITH_BOXES] if kind == "conversation" else [])]
    for given, written in (example for prompt in prompts for example in prompt.examples):
        pairs = parse_pairs(kind, Answer(written, "stop"))
        assert len(pairs) == (5 if kind == "conversation" else 1)
        assert not any(text in written for text in given.split("\n") if text)


@pytest.mark.parametrize(
    "text",
    [
        format_pairs(SEEN, WHERE),
        format_pairs(SEEN, WHERE).removesuffix("==="),
        format_pairs(SEEN, WHERE).replace("===", "====") + "\n\n",
        format_pairs(SEEN, WHERE).replace("===\n", ""),
        format_pairs(SEEN, WHERE).replace("Question:\n", "**Question 1:** ").replace("\n", "\r\n"),
        "===\n" + format_pairs(SEEN, WHERE).replace("Answer:\n", "answer: "),
    ],
)
def test_questions_and_answers(text: str) -> None:
    assert parse_pairs("conversation", Answer(text)) == (SEEN, WHERE)


def test_pairs_as_json() -> None:
    lines = [json.dumps({"question": f" {q}", "answer": f"{a}\n"}) for q, a in (SEEN, WHERE)]
    assert parse_pairs("conversation", Answer("\n\n".join(lines) + "\n")) == (SEEN, WHERE)


def test_a_description() -> None:
    text = "A donut.\n\nIt lies on a plate.\n"
    assert parse_pairs("detail", Answer(text)) == (("", text.strip()),)


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        ("conversation", "", "empty"),
        ("detail", " \n", "empty"),
        ("conversation", "A donut.", "no question and answer"),
        ("complex", "Why?\n===\nBecause.", "no question and answer"),
        ("conversation", format_pairs(SEEN), "a conversation of a single turn"),
        ("complex", format_pairs(SEEN, WHERE), "more than one question"),
        ("complex", "Sure!\n" + format_pairs(SEEN), "text outside of questions and answers"),
        ("complex", format_pairs(SEEN) + "\nGlad to.", "text outside of questions and answers"),
        ("complex", '{"question": "Why?"}', "not a question and an answer as JSON a line"),
        (
            "complex",
            '{"question": "Why?", "answer": "So."} So.',
            "not a question and an answer as JSON a line",
        ),
        ("complex", '{"question": "Why?", "answer": " "}', "an empty question or answer"),
        ("conversation", format_pairs(SEEN, ("Where?", "")), "an empty question or answer"),
        ("conversation", format_pairs(SEEN, ("", "There.")), "an empty question or answer"),
        ("complex", "Question:\nWhy?\n===", "questions and answers do not take turns"),
        ("complex", "Answer:\nSo.\n===", "questions and answers do not take turns"),
        (
            "complex",
            "Question:\nWhy?\n===\nQuestion:\nHow?\n===\nAnswer:\nSo.\n===\nAnswer:\nSo.",
            "questions and answers do not take turns",
        ),
        ("detail", format_pairs(SEEN), "not a description alone"),
        ("detail", "A donut.\n===", "not a description alone"),
    ],
)
def test_malformed(kind: Kind, text: str, reason: str) -> None:
    with pytest.raises(MalformedAnswer) as raised:
        parse_pairs(kind, Answer(text, "stop"))
    assert str(raised.value) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The caption says that it is a donut.", "speaks of captions or boxes"),
        ("According to the sentences there is a donut.", "speaks of captions or boxes"),
        ("The bounding boxes overlap.", "speaks of captions or boxes"),
        ("A donut, from the information provided.", "speaks of captions or boxes"),
        ("The color is not explicitly mentioned.", "speaks of captions or boxes"),
        ("Its coordinates: the exact coordinates are unclear.", "speaks of captions or boxes"),
        ("The donut is at [0.25, 0.125, 0.5, 0.5].", "writes coordinates"),
        ("The donut is at (0.25, .125).", "writes coordinates"),
        ("<image>\nA donut.", "spells a special token"),
        ("A donut < IMAGE >.", "spells a special token"),
        ("A donut.</s>", "spells a special token"),
        ("I'm sorry, but I can't assist with that.", "refuses"),
        ("I\u2019m sorry, I can\u2019t help with this.", "refuses"),
        ("As an AI language model, I have no eyes.", "refuses"),
        ("I cannot see the image.", "refuses"),
        ("It is not possible to tell from here. Perhaps a donut.", "has no sure answer"),
        ("The maker cannot be determined.", "has no sure answer"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_flaws(kind: Kind, text: str, reason: str) -> None:
    written = {
        "detail": text,
        "complex": format_pairs(("What is it?", text)),
        "conversation": format_pairs(SEEN, ("What is it?", text)),
    }[kind]
    with pytest.raises(MalformedAnswer) as raised:
        parse_pairs(kind, Answer(written))
    assert str(raised.value) == reason


def test_a_question_may_have_flaws_too() -> None:
    with pytest.raises(MalformedAnswer, match="speaks of captions"):
        parse_pairs("complex", Answer(format_pairs(("What does the caption say?", "A donut."))))


def test_a_refusal_without_the_form_is_one() -> None:
    with pytest.raises(MalformedAnswer, match="refuses"):
        parse_pairs("conversation", Answer("I'm sorry, but I cannot help with that."))


@pytest.mark.parametrize(
    "text",
    [
        "I cannot see any donut on the plate; there is only a cup.",
        "She coordinates the dance, and boxes are stacked behind her.",
        "The text on the sign says 'Stop'.",
        "He is sorry that the image of the saint fell. It is clear why.",
        "A player (number 7, 2nd row) throws. From the context it is a match.",
        "The dog waits. What it sees cannot be determined by anyone.",
    ],
)
def test_harmless_texts_are_accepted(text: str) -> None:
    assert parse_pairs("detail", Answer(text)) == (("", text),)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("length", "cut off by the limit of tokens"),
        ("content_filter", "stopped by a content filter"),
        ("refusal", "refuses"),
    ],
)
def test_why_an_answer_ended(end: str, reason: str) -> None:
    with pytest.raises(MalformedAnswer) as raised:
        parse_pairs("detail", Answer("A donut.", end))
    assert str(raised.value) == reason
