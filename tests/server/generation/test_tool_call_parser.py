"""Calls read out of text, however it is cut into parts and wherever it ends."""

import json
from itertools import combinations_with_replacement

import pytest

from server.generation.tool_call_parser import TextOnlyParser, ToolCallParser
from server.tools.content import ToolCallStart
from server.tools.format import ARGUMENTS, CALL_BEGIN, CALL_END, format_call_head, format_tool_call
from tests.server.generation.reading import Call, fed, joined, split

ODD_STRINGS = [
    CALL_END,
    CALL_BEGIN,
    '}\n</tool_call>"}',
    'a "quoted" word',
    "back\\slash\\",
    "{{}}[]}",
    "日本語 😀 é \u2028",
    "\n\r\t\x00",
    ARGUMENTS,
]


def spelt(*calls: Call) -> str:
    """Spell calls one after the other."""
    return "".join(format_tool_call(name, arguments) for name, arguments in calls)


TEXTS: list[tuple[str, tuple[str, list[Call]]]] = [
    ("Well.", ("Well.", [])),
    (spelt(("f", "{}")), ("", [("f", "{}")])),
    ("Well. " + spelt(("f", '{"a": 1}')), ("Well. ", [("f", '{"a": 1}')])),
    (
        spelt(("f", '{"a": {"b": {}}}'), ("get-it.now", '{"x": "}\\n"}')),
        ("", [("f", '{"a": {"b": {}}}'), ("get-it.now", '{"x": "}\\n"}')]),
    ),
    ("1 <tool 2 <<tool_call 3 <", ("1 <tool 2 <<tool_call 3 <", [])),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS, ids=[text for text, _ in TEXTS])
def test_cuts_do_not_matter(text: str, expected: tuple[str, list[Call]]) -> None:
    assert joined(fed(ToolCallParser(), [text])) == expected
    assert joined(fed(ToolCallParser(), list(text))) == expected
    for places in combinations_with_replacement(range(len(text) + 1), 2):
        assert joined(fed(ToolCallParser(), split(text, *places))) == expected, places


@pytest.mark.parametrize("odd", ODD_STRINGS)
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_strings_in_arguments_may_hold_anything(odd: str, ensure_ascii: bool) -> None:
    arguments = json.dumps({odd: [odd, {"a": odd}]}, ensure_ascii=ensure_ascii)
    text = spelt(("f", arguments), ("g", arguments))
    expected = ("", [("f", arguments), ("g", arguments)])
    for place in range(len(text) + 1):
        assert joined(fed(ToolCallParser(), split(text, place))) == expected


@pytest.mark.parametrize("streamed", [True, False])
def test_at_the_token_limit_what_came_of_the_arguments_is_delivered(streamed: bool) -> None:
    arguments = '{"a": {"b": "}"}, "c": {}}'
    head = CALL_BEGIN + format_call_head("f")
    text = head + arguments + CALL_END
    for end in range(len(head), len(text) + 1):
        parts = list(text[:end]) if streamed else [text[:end]]
        whole = end >= len(head) + len(arguments)
        expected = arguments if whole else arguments[: end - len(head)]
        assert joined(fed(ToolCallParser(), parts)) == ("", [("f", expected)]), text[:end]


@pytest.mark.parametrize("streamed", [True, False])
def test_at_the_token_limit_a_call_without_a_name_is_none(streamed: bool) -> None:
    head = CALL_BEGIN + format_call_head("f")
    for end in range(len(CALL_BEGIN), len(head)):
        text = "Well." + head[:end]
        parts = list(text) if streamed else [text]
        assert joined(fed(ToolCallParser(), parts)) == ("Well.", [])


def test_at_the_token_limit_half_a_mark_is_text() -> None:
    for end in range(1, len(CALL_BEGIN)):
        text = "Well." + CALL_BEGIN[:end]
        assert joined(fed(ToolCallParser(), list(text))) == (text, [])


def test_deep_arguments_are_cut_off_like_others() -> None:
    """A parser of JSON would run out of stack here."""
    arguments = '{"a": ' + "[" * 100_000 + "}"
    text = CALL_BEGIN + format_call_head("f") + arguments
    assert joined(fed(ToolCallParser(), [text])) == ("", [("f", arguments)])


def test_text_is_shown_at_once_unless_it_may_be_a_mark() -> None:
    reader = ToolCallParser()
    assert list(reader.parse("a < b", [], ended=False)) == ["a < b"]
    assert list(reader.parse(" <tool", [], ended=False)) == [" "]
    assert list(reader.parse("box>", [], ended=False)) == ["<toolbox>"]


def test_arguments_are_shown_at_once_unless_they_may_be_the_end() -> None:
    reader = ToolCallParser()
    (begin,) = reader.parse(CALL_BEGIN + format_call_head("f"), [], ended=False)
    assert isinstance(begin, ToolCallStart)
    shown = [joined([begin, *reader.parse(part, [], ended=False)])[1] for part in ('{"a": ', "1}")]
    assert shown == [[("f", '{"a": ')], [("f", "1")]]


def test_ids_are_unguessable_and_differ() -> None:
    pieces = fed(ToolCallParser(), [spelt(("f", "{}"), ("f", "{}"))])
    ids = [piece.id for piece in pieces if isinstance(piece, ToolCallStart)]
    assert len(set(ids)) == 2
    assert all(each.startswith("call_") and len(each) == 29 for each in ids)


def test_without_tools_marks_are_text() -> None:
    text = "Well. " + spelt(("f", "{}"))
    for place in range(len(text) + 1):
        assert joined(fed(TextOnlyParser(), split(text, place))) == (text, [])
    assert list(TextOnlyParser().parse("", [], ended=True)) == []
