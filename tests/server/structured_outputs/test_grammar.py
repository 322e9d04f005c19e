"""From a request's wishes to one grammar, or to none."""

import json
from typing import Any

import pytest

from server.errors import InvalidValue
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from server.structured_outputs.grammar import (
    GrammarConstraint,
    build_constraint,
    resolve_callable_tools,
)
from server.tools.format import format_tool_call
from tests.server.structured_outputs.sentences import accepts

MAX_TOKENS = 100
F, G = format_tool_call("f", "{}"), format_tool_call("g", '{"x": 1}')
TOOLS = [
    {"type": "function", "function": {"name": "f"}},
    {
        "type": "function",
        "function": {
            "name": "g",
            "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}},
        },
    },
]
SCHEMA = {"type": "object", "properties": {"x": {"enum": [1]}}, "required": ["x"]}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}


def request(**wishes: Any) -> ChatCompletionRequest:
    """Return a request with some wishes."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **wishes}
    return parse_chat_request(json.dumps(body).encode())


def built(**wishes: Any) -> GrammarConstraint | None:
    """Return the constraint of a request."""
    wanted = request(**wishes)
    return build_constraint(wanted, resolve_callable_tools(wanted), MAX_TOKENS)


def admits(text: str, **wishes: Any) -> bool:
    """Tell whether a request's answer may be a text."""
    wanted = built(**wishes)
    return wanted is None or accepts(wanted.grammar, text)


def named(name: str) -> dict[str, Any]:
    """Return the choice of one function."""
    return {"type": "function", "function": {"name": name}}


def allowed(mode: str, *names: str) -> dict[str, Any]:
    """Return the choice of some functions."""
    tools = [named(name) for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"response_format": {"type": "text"}},
        {"tools": TOOLS, "tool_choice": "none"},
        {"tools": [], "tool_choice": "auto"},
    ],
)
def test_most_answers_may_be_anything(wishes: dict[str, Any]) -> None:
    assert built(**wishes) is None


@pytest.mark.parametrize(
    ("choice", "fitting", "unfitting"),
    [
        (None, ["", "Well.", F, "Well.\n" + G, F + G, "a <tool_call b"], [F + "Well.", F[:-1]]),
        ("auto", ["Well.", F + F + F], [format_tool_call("h", "{}")]),
        ("required", [F, G, F + G], ["", "Well.", "Well." + F]),
        (named("g"), [G], ["", "Well.", F, G + G, "Well." + G]),
        (allowed("auto", "g"), ["Well.", G, G + G], [F]),
        (allowed("required", "g"), [G, G + G], ["Well.", F]),
        ("none", ["Well.", F], []),
    ],
)
def test_choices_of_tools(choice: Any, fitting: list[str], unfitting: list[str]) -> None:
    assert [t for t in fitting if not admits(t, tools=TOOLS, tool_choice=choice)] == []
    assert [t for t in unfitting if admits(t, tools=TOOLS, tool_choice=choice)] == []


def test_one_call_at_a_time() -> None:
    for choice in ("auto", "required", allowed("auto", "f")):
        wishes = {"tools": TOOLS, "tool_choice": choice, "parallel_tool_calls": False}
        assert admits(F, **wishes)
        assert not admits(F + F, **wishes)


def test_a_format_is_for_answers_without_calls() -> None:
    wishes = {"tools": TOOLS, "response_format": JSON_SCHEMA}
    assert all(admits(text, **wishes) for text in ('{"x": 1}', F, F + G))
    assert not any(admits(text, **wishes) for text in ("Well.", '{"x": 2}', '{"x": 1}' + F))
    assert not admits('{"x": 1}', **wishes, tool_choice="required")


def test_a_grammar_and_tools() -> None:
    wishes = {"tools": TOOLS, "structured_outputs": {"grammar": 'root ::= "a"'}}
    with pytest.raises(InvalidValue) as caught:
        built(**wishes)
    assert caught.value.param == "structured_outputs.grammar"
    assert admits(F, **wishes, tool_choice="required")
    assert admits("a", **wishes, tool_choice="none")


@pytest.mark.parametrize(
    ("wishes", "param", "fitting", "unfitting"),
    [
        ({"response_format": {"type": "json_object"}}, "response_format", '{"a": 1}', "[]"),
        (
            {"response_format": JSON_SCHEMA},
            "response_format.json_schema.schema",
            '{"x": 1}',
            "{}",
        ),
        ({"structured_outputs": {"json": SCHEMA}}, "structured_outputs.json", '{"x": 1}', "{}"),
        (
            {"structured_outputs": {"json": json.dumps(SCHEMA)}},
            "structured_outputs.json",
            '{"x": 1}',
            "{}",
        ),
        (
            {"structured_outputs": {"json_object": True}},
            "structured_outputs.json_object",
            "{}",
            "[]",
        ),
        ({"structured_outputs": {"regex": "a+"}}, "structured_outputs.regex", "aa", "b"),
        ({"structured_outputs": {"choice": ["a", "b"]}}, "structured_outputs.choice", "b", "c"),
        (
            {"structured_outputs": {"grammar": 'root ::= "a" root | "b"'}},
            "structured_outputs.grammar",
            "aab",
            "aa",
        ),
        (
            {"structured_outputs": {"grammar": 'start: "a" | b\nb: /[xy]/ "</s>"'}},
            "structured_outputs.grammar",
            "y</s>",
            "y",
        ),
        (
            {"structured_outputs": {"grammar": '%llguidance {}\nstart: "a"'}},
            "structured_outputs.grammar",
            "a",
            "b",
        ),
    ],
)
def test_formats(wishes: dict[str, Any], param: str, fitting: str, unfitting: str) -> None:
    wanted = built(**wishes)
    assert wanted is not None
    assert wanted.param == param
    assert admits(fitting, **wishes)
    assert not admits(unfitting, **wishes)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [("{", "not valid JSON"), ("[]", "JSON object"), ("[" * 100_000, "not valid JSON")],
)
def test_schemas_as_text_are_checked(schema: str, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason) as caught:
        built(structured_outputs={"json": schema})
    assert caught.value.param == "structured_outputs.json"


def test_depth_is_blamed_on_its_field() -> None:
    deep: dict[str, Any] = {}
    for _ in range(65):
        deep = {"items": deep}
    tool = {"type": "function", "function": {"name": "h", "parameters": deep}}
    fields: dict[str, dict[str, Any]] = {
        "tools[2].function.parameters": {"tools": [*TOOLS, tool]},
        "structured_outputs.json": {"structured_outputs": {"json": deep}},
        "response_format.json_schema.schema": {
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": deep}}
        },
    }
    for param, wishes in fields.items():
        with pytest.raises(InvalidValue) as caught:
            built(**wishes)
        assert caught.value.param == param


def test_descriptions_of_tools() -> None:
    wishes = {"tools": TOOLS, "tool_choice": allowed("auto", "g"), "parallel_tool_calls": False}
    calls = resolve_callable_tools(request(**wishes))
    assert calls is not None
    assert '{"name": "g", "parameters": {' in calls.description
    assert '"f"' not in calls.description
    assert "answer directly" in calls.description
    assert "one call at a time" in calls.description
    forced = resolve_callable_tools(request(tools=TOOLS, tool_choice="required"))
    assert forced is not None
    assert "answer directly" not in forced.description
