"""From the fields of a request to one grammar, or to none."""

import json
from typing import Any

import pytest

from server.errors import InvalidValue
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from server.structured_outputs.grammar import build_constraint
from server.structured_outputs.validator import GrammarConstraint
from server.tools.callable_tools import resolve_callable_tools
from server.tools.format import format_tool_call
from tests.server.structured_outputs.sentences import accepts

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


def request(**fields: Any) -> ChatCompletionRequest:
    """Return a request with some fields."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return parse_chat_request(json.dumps(body).encode())


def constraint(**fields: Any) -> GrammarConstraint | None:
    """Return the constraint of a request."""
    parsed = request(**fields)
    return build_constraint(parsed, resolve_callable_tools(parsed), {})


def admits(text: str, **fields: Any) -> bool:
    """Whether the constraint of a request admits a text."""
    built = constraint(**fields)
    return built is None or accepts(built.grammar, text)


def named_choice(name: str) -> dict[str, Any]:
    """Return the `tool_choice` of one function."""
    return {"type": "function", "function": {"name": name}}


def allowed_tools(mode: str, *names: str) -> dict[str, Any]:
    """Return the `tool_choice` of some functions."""
    tools = [named_choice(name) for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"response_format": {"type": "text"}},
        {"tools": TOOLS, "tool_choice": "none"},
        {"tools": [], "tool_choice": "auto"},
    ],
)
def test_requests_without_a_constraint(fields: dict[str, Any]) -> None:
    assert constraint(**fields) is None


@pytest.mark.parametrize(
    ("choice", "accepted", "rejected"),
    [
        (None, ["", "Well.", F, "Well.\n" + G, F + G, "a <tool_call b"], [F + "Well.", F[:-1]]),
        ("auto", ["Well.", F + F + F], [format_tool_call("h", "{}")]),
        ("required", [F, G, F + G], ["", "Well.", "Well." + F]),
        (named_choice("g"), [G], ["", "Well.", F, G + G, "Well." + G]),
        (allowed_tools("auto", "g"), ["Well.", G, G + G], [F]),
        (allowed_tools("required", "g"), [G, G + G], ["Well.", F]),
        ("none", ["Well.", F], []),
    ],
)
def test_choices_of_tools(choice: Any, accepted: list[str], rejected: list[str]) -> None:
    assert [t for t in accepted if not admits(t, tools=TOOLS, tool_choice=choice)] == []
    assert [t for t in rejected if admits(t, tools=TOOLS, tool_choice=choice)] == []


def test_one_call_at_a_time() -> None:
    for choice in ("auto", "required", allowed_tools("auto", "f")):
        fields = {"tools": TOOLS, "tool_choice": choice, "parallel_tool_calls": False}
        assert admits(F, **fields)
        assert not admits(F + F, **fields)


def test_a_format_constrains_content_without_calls() -> None:
    fields = {"tools": TOOLS, "response_format": JSON_SCHEMA}
    assert all(admits(text, **fields) for text in ('{"x": 1}', F, F + G))
    assert not any(admits(text, **fields) for text in ("Well.", '{"x": 2}', '{"x": 1}' + F))
    assert not admits('{"x": 1}', **fields, tool_choice="required")


def test_a_grammar_and_tools() -> None:
    fields = {"tools": TOOLS, "structured_outputs": {"grammar": 'root ::= "a"'}}
    with pytest.raises(InvalidValue) as caught:
        constraint(**fields)
    assert caught.value.param == "structured_outputs.grammar"
    assert admits(F, **fields, tool_choice="required")
    assert admits("a", **fields, tool_choice="none")


@pytest.mark.parametrize(
    ("fields", "param", "accepted", "rejected"),
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
def test_formats(fields: dict[str, Any], param: str, accepted: str, rejected: str) -> None:
    built = constraint(**fields)
    assert built is not None
    assert built.param == param
    assert admits(accepted, **fields)
    assert not admits(rejected, **fields)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [("{", "not valid JSON"), ("[]", "JSON object"), ("[" * 100_000, "not valid JSON")],
)
def test_schemas_as_text_are_checked(schema: str, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason) as caught:
        constraint(structured_outputs={"json": schema})
    assert caught.value.param == "structured_outputs.json"


def test_deep_schemas_are_refused_with_their_field() -> None:
    deep: dict[str, Any] = {}
    for _ in range(65):
        deep = {"items": deep}
    tool = {"type": "function", "function": {"name": "h", "parameters": deep}}
    requests: dict[str, dict[str, Any]] = {
        "tools[2].function.parameters": {"tools": [*TOOLS, tool]},
        "structured_outputs.json": {"structured_outputs": {"json": deep}},
        "response_format.json_schema.schema": {
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": deep}}
        },
    }
    for param, fields in requests.items():
        with pytest.raises(InvalidValue) as caught:
            constraint(**fields)
        assert caught.value.param == param
