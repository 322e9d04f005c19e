"""Parsing tool calls from text, however it is split and wherever it ends."""

import json
from itertools import combinations_with_replacement

import pytest

from server.generation.tool_call_parser import TextOnlyParser, ToolCallParser
from server.protocol.chat.response import FinishReason
from server.tools.content import ToolCallStart
from server.tools.format import ARGUMENTS, CALL_BEGIN, CALL_END, format_call_head, format_tool_call
from tests.server.generation.reading import Call, join_content, parse_parts, split_text

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


def format_calls(*calls: Call) -> str:
    """Return the text of calls."""
    return "".join(format_tool_call(name, arguments) for name, arguments in calls)


TEXTS: list[tuple[str, tuple[str, list[Call]]]] = [
    ("Well.", ("Well.", [])),
    (format_calls(("f", "{}")), ("", [("f", "{}")])),
    ("Well. " + format_calls(("f", '{"a": 1}')), ("Well. ", [("f", '{"a": 1}')])),
    (
        format_calls(("f", '{"a": {"b": {}}}'), ("get-it.now", '{"x": "}\\n"}')),
        ("", [("f", '{"a": {"b": {}}}'), ("get-it.now", '{"x": "}\\n"}')]),
    ),
    ("1 <tool 2 <<tool_call 3 <", ("1 <tool 2 <<tool_call 3 <", [])),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS, ids=[text for text, _ in TEXTS])
def test_any_split_gives_the_same_calls(text: str, expected: tuple[str, list[Call]]) -> None:
    assert join_content(parse_parts(ToolCallParser(), [text])) == expected
    assert join_content(parse_parts(ToolCallParser(), list(text))) == expected
    for places in combinations_with_replacement(range(len(text) + 1), 2):
        assert join_content(parse_parts(ToolCallParser(), split_text(text, *places))) == expected, (
            places
        )


@pytest.mark.parametrize("value", ODD_STRINGS)
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_strings_in_arguments_may_hold_anything(value: str, ensure_ascii: bool) -> None:
    arguments = json.dumps({value: [value, {"a": value}]}, ensure_ascii=ensure_ascii)
    text = format_calls(("f", arguments), ("g", arguments))
    expected = ("", [("f", arguments), ("g", arguments)])
    for place in range(len(text) + 1):
        assert join_content(parse_parts(ToolCallParser(), split_text(text, place))) == expected


@pytest.mark.parametrize("streamed", [True, False])
def test_partial_arguments_are_yielded_at_the_token_limit(streamed: bool) -> None:
    arguments = '{"a": {"b": "}"}, "c": {}}'
    head = CALL_BEGIN + format_call_head("f")
    text = head + arguments + CALL_END
    for end in range(len(head), len(text) + 1):
        parts = list(text[:end]) if streamed else [text[:end]]
        is_complete = end >= len(head) + len(arguments)
        expected = arguments if is_complete else arguments[: end - len(head)]
        content = join_content(parse_parts(ToolCallParser(), parts, "length"))
        assert content == ("", [("f", expected)]), text[:end]


@pytest.mark.parametrize("streamed", [True, False])
def test_a_call_without_a_name_is_dropped_at_the_token_limit(streamed: bool) -> None:
    head = CALL_BEGIN + format_call_head("f")
    for end in range(len(CALL_BEGIN), len(head)):
        text = "Well." + head[:end]
        parts = list(text) if streamed else [text]
        assert join_content(parse_parts(ToolCallParser(), parts, "length")) == ("Well.", [])


def test_a_partial_marker_is_no_text_at_the_token_limit() -> None:
    for end in range(1, len(CALL_BEGIN)):
        parts = list("Well." + CALL_BEGIN[:end])
        assert join_content(parse_parts(ToolCallParser(), parts, "length")) == ("Well.", [])
        second = list(format_calls(("f", "{}")) + CALL_BEGIN[:end])
        content = join_content(parse_parts(ToolCallParser(), second, "length"))
        assert content == ("", [("f", "{}")])


@pytest.mark.parametrize("finish_reason", ["stop", "length"])
def test_required_calls_have_no_text_wherever_they_end(finish_reason: FinishReason) -> None:
    text = format_calls(("f", '{"a": 1}'), ("g", "{}"))
    for end in range(len(text) + 1):
        for parts in ([text[:end]], list(text[:end])):
            content = parse_parts(ToolCallParser(required=True), parts, finish_reason)
            assert join_content(content)[0] == ""


def test_deeply_nested_partial_arguments() -> None:
    """A JSON parser would overflow the stack here."""
    arguments = '{"a": ' + "[" * 100_000 + "}"
    text = CALL_BEGIN + format_call_head("f") + arguments
    assert join_content(parse_parts(ToolCallParser(), [text])) == ("", [("f", arguments)])


def test_text_is_yielded_at_once_unless_it_may_be_a_marker() -> None:
    reader = ToolCallParser()
    assert list(reader.parse("a < b", [], None)) == ["a < b"]
    assert list(reader.parse(" <tool", [], None)) == [" "]
    assert list(reader.parse("box>", [], None)) == ["<toolbox>"]


def test_arguments_are_yielded_at_once_unless_they_may_be_the_end() -> None:
    reader = ToolCallParser()
    (begin,) = reader.parse(CALL_BEGIN + format_call_head("f"), [], None)
    assert isinstance(begin, ToolCallStart)
    calls = [join_content([begin, *reader.parse(part, [], None)])[1] for part in ('{"a": ', "1}")]
    assert calls == [[("f", '{"a": ')], [("f", "1")]]


def test_call_ids_are_random() -> None:
    content = parse_parts(ToolCallParser(), [format_calls(("f", "{}"), ("f", "{}"))])
    ids = [delta.id for delta in content if isinstance(delta, ToolCallStart)]
    assert len(set(ids)) == 2
    assert all(each.startswith("call_") and len(each) == 29 for each in ids)


def test_markers_are_text_without_tools() -> None:
    text = "Well. " + format_calls(("f", "{}"))
    for place in range(len(text) + 1):
        assert join_content(parse_parts(TextOnlyParser(), split_text(text, place))) == (text, [])
    assert list(TextOnlyParser().parse("", [], "stop")) == []
