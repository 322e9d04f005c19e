"""The texts that the rules admit."""

import json
from typing import Any

import pytest

from server.protocol.tools import Function
from server.structured_outputs.grammar import HEADER
from server.structured_outputs.rules import (
    build_choice_rule,
    build_json_rule,
    build_regex_rule,
    build_tool_rules,
)
from server.tools.format import CALL_BEGIN, format_tool_call
from tests.server.structured_outputs.sentences import accepts

CHAR_BUDGET = 200


def admits(rule: str, text: str) -> bool:
    """Whether a rule admits a text."""
    return accepts(f"{HEADER}start: {rule}\n", text)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("a+", "aaa", True),
        ("a+", "aab", False),
        ("a+", "", False),
        ("^a$", "a", True),
        ("a/b", "a/b", True),
        (r"a\/b", "a/b", True),
        (r"https?:\/\/[a-z.]+/", "http://example.org/", True),
        (r"a\\/b", "a\\/b", True),
        ("[/]", "/", True),
        ("a\nb", "a\nb", True),
        ("a\rb", "a\rb", True),
        (r"a\nb", "a\nb", True),
        ("a\\\nb", "a\nb", True),
        (r"\d{2}\.\d", "12.3", True),
        (r"\d{2}\.\d", "12x3", False),
        ("日本|é{2}", "éé", True),
        ('"&~<>#', '"&~<>#', True),
        ("", "", True),
        ("a.c", "a\nc", False),
    ],
)
def test_regular_expressions(pattern: str, text: str, fits: bool) -> None:
    assert admits(build_regex_rule(pattern), text) == fits


@pytest.mark.parametrize(
    "text",
    ["a", "", "a b", 'say "no"', "back\\slash", "a\nb\t", "日本 😀", "</s>", "<image>", "/|#"],
)
def test_choices(text: str) -> None:
    rule = build_choice_rule(["x", text])
    assert admits(rule, text)
    assert admits(rule, "x")
    assert not admits(rule, text + "y")


JSON: list[tuple[dict[str, Any], str, bool]] = [
    ({}, "[1,null]", True),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{"a": 1}', True),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{"a":1}', True),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{"a":  1}', False),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{ "a": 1}', False),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{"b": 1}', False),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, "{}", True),
    ({"type": "object"}, '{"b": 1}', True),
    ({"type": "integer"}, "9007199254740991", True),
    ({"type": "integer"}, "9007199254740993", False),
    ({"type": "string"}, json.dumps("x" * 128), True),
    ({"type": "string"}, json.dumps("x" * 129), False),
    ({"type": "string", "minLength": 300}, json.dumps("x" * 300), True),
    ({"type": "string"}, '"a\nb"', False),
    ({"enum": ["a/b", 1, None, "</s>"]}, '"</s>"', True),
    ({"enum": ["a/b", 1, None, "</s>"]}, '"b"', False),
    ({"const": {"a": [1]}}, '{"a": [1]}', True),
    ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, "true", True),
    ({"type": "array", "items": {"type": "null"}, "maxItems": 2}, "[null, null]", True),
    ({"type": "array", "items": {"type": "null"}, "maxItems": 2}, "[null,null,null]", False),
    ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "null"}}}, "null", True),
    ({"type": "string", "pattern": "^a/b$"}, '"a/b"', True),
]


@pytest.mark.parametrize(("schema", "text", "fits"), JSON)
def test_json(schema: dict[str, Any], text: str, fits: bool) -> None:
    assert admits(build_json_rule(schema, CHAR_BUDGET), text) == fits


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("{}", True),
        ('{"a": {"b": [1, -2.5e3, true, null, "x", {}]}}', True),
        ("[]", False),
        ("null", False),
        ('{"": 1}', False),
        (json.dumps({"k" * 64: "v" * 64}), True),
        (json.dumps({"k" * 65: 1}), False),
        (json.dumps({"k": "v" * 300}), False),
    ],
)
def test_any_object(text: str, fits: bool) -> None:
    assert admits(build_json_rule(None, CHAR_BUDGET), text) == fits


POINT = Function(
    name="point", parameters={"type": "object", "properties": {"x": {"type": "integer"}}}
)
NOTHING = Function(name="do.nothing-1")


def admits_calls(*calls: tuple[str, str], parallel: bool = True) -> bool:
    """Whether the rules of two functions admit some calls."""
    rules = build_tool_rules([POINT, NOTHING], CHAR_BUDGET, parallel=parallel)
    text = "".join(format_tool_call(name, arguments) for name, arguments in calls)
    return accepts(f"{HEADER}start: {json.dumps(CALL_BEGIN)} calls\n{rules}", text)


@pytest.mark.parametrize(
    ("name", "arguments", "fits"),
    [
        ("point", '{"x": 5}', True),
        ("point", "{}", True),
        ("point", '{"x": "5"}', False),
        ("point", '{"y": 5}', False),
        ("do.nothing-1", "{}", True),
        ("do.nothing-1", '{"x": 5}', False),
        ("unheard-of", "{}", False),
    ],
)
def test_calls(name: str, arguments: str, fits: bool) -> None:
    assert admits_calls((name, arguments)) == fits
    assert admits_calls((name, arguments), parallel=False) == fits


def test_several_calls() -> None:
    calls = [("point", '{"x": 1}'), ("do.nothing-1", "{}"), ("point", '{"x": 2}')]
    assert admits_calls(*calls)
    assert not admits_calls(*calls, parallel=False)
    assert not admits_calls()
