"""Bodies as large as the edge lets through are refused at the first error, for every endpoint."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from server.errors import InvalidJson, InvalidValue, UnsupportedParameter
from server.messages import translation as messages
from server.protocol import tokenize, wire
from server.protocol.chat.request import parse_chat_request
from server.protocol.completions.request import parse_completion_request
from server.protocol.json_size import MAX_JSON_CHARACTERS, count_json_characters
from server.protocol.tokenize import parse_detokenize_request, parse_tokenize_request
from server.responses.translation import parse_and_translate

# Errors that pydantic may build for one body: a few, whatever its size.
MAX_ERRORS = 8
MANY = 60_000
LONG = "x" * 1_000_000
MESSAGE = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f"}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}

BLOCK = "messages[0].content[0]"

Parse = Callable[[bytes], object]


def many_keys(value: Any) -> dict[str, Any]:
    """Return an object with more keys than any field takes."""
    return {f"k{index}": value for index in range(MANY)}


def deep(levels: int) -> Any:
    """Return nested lists."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


CHAT: dict[str, Any] = {"model": "m", "messages": [MESSAGE]}
TEXT: dict[str, Any] = {"model": "m", "prompt": "hi"}
RESPONSE: dict[str, Any] = {"model": "m", "input": "hi"}
ANTHROPIC: dict[str, Any] = {"model": "m", "max_tokens": 1, "messages": [MESSAGE]}
RESULT = {"type": "tool_result", "tool_use_id": "i"}
USE = {"type": "tool_use", "id": "i", "name": "f", "input": {}}

HOSTILE: list[tuple[Parse, dict[str, Any], str | None]] = [
    (parse_chat_request, {**CHAT, "messages": [1] * MANY}, "messages[0]"),
    (parse_chat_request, {**CHAT, "messages": [{}] * MANY}, "messages[0].role"),
    (parse_chat_request, {**CHAT, "messages": [MESSAGE] * 10_000}, "messages"),
    (parse_chat_request, {**CHAT, "messages": many_keys(1)}, "messages"),
    (
        parse_chat_request,
        {**CHAT, "messages": [{"role": "user", "content": [1] * MANY}]},
        "messages[0].content[0]",
    ),
    (
        parse_chat_request,
        {**CHAT, "messages": [{"role": "user", "content": [{"type": "text", "text": ""}] * 2000}]},
        "messages[0].content",
    ),
    (
        parse_chat_request,
        {**CHAT, "messages": [{"role": "assistant", "tool_calls": [CALL] * 200}]},
        "messages[0].tool_calls",
    ),
    (
        parse_chat_request,
        {**CHAT, "messages": [{"role": "tool", "content": "a", "tool_call_id": LONG}]},
        "messages[0].tool_call_id",
    ),
    (parse_chat_request, {**CHAT, "model": LONG}, "model"),
    (parse_chat_request, {**CHAT, "stop": [1] * MANY}, "stop[0]"),
    (parse_chat_request, {**CHAT, "stop": LONG}, "stop[0]"),
    (parse_chat_request, {**CHAT, "stop_token_ids": [-1] * MANY}, "stop_token_ids[0]"),
    (parse_chat_request, {**CHAT, "stop_token_ids": [1] * MANY}, "stop_token_ids"),
    (parse_chat_request, {**CHAT, "logit_bias": many_keys(1)}, "logit_bias"),
    (
        parse_chat_request,
        {**CHAT, "logit_bias": {str(token_id): 101 for token_id in range(4096)}},
        "logit_bias['0']",
    ),
    (parse_chat_request, {**CHAT, "logit_bias": {LONG: 1}}, f"logit_bias['{LONG[:99]}…']"),
    (parse_chat_request, {**CHAT, "tools": [1] * MANY}, "tools[0]"),
    (parse_chat_request, {**CHAT, "tools": [TOOL] * 129}, "tools"),
    (
        parse_chat_request,
        {**CHAT, "tools": [{**TOOL, "function": {"name": LONG}}]},
        "tools[0].function.name",
    ),
    (
        parse_chat_request,
        {**CHAT, "tools": [{**TOOL, "function": {"name": "f", "parameters": {"a": LONG}}}]},
        "tools[0].function.parameters",
    ),
    (
        parse_chat_request,
        {
            **CHAT,
            "tools": [TOOL],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [1] * MANY},
            },
        },
        "tool_choice.allowed_tools.tools[0]",
    ),
    (
        parse_chat_request,
        {
            **CHAT,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"enum": [1] * 260_000}},
            },
        },
        "response_format.json_schema.schema",
    ),
    (parse_chat_request, {**CHAT, "chat_template_kwargs": {"a": LONG}}, "chat_template_kwargs"),
    (parse_chat_request, {**CHAT, "structured_outputs": many_keys(1)}, "structured_outputs"),
    (parse_chat_request, {**CHAT, "structured_outputs": {LONG: 1}}, "structured_outputs"),
    (
        parse_chat_request,
        {**CHAT, "structured_outputs": {"choice": ["a"] * MANY}},
        "structured_outputs.choice",
    ),
    (
        parse_chat_request,
        {**CHAT, "structured_outputs": {"choice": ["a" * 1000] * 4096}},
        "structured_outputs",
    ),
    (
        parse_chat_request,
        {**CHAT, "structured_outputs": {"regex": LONG}},
        "structured_outputs.regex",
    ),
    (
        parse_chat_request,
        {**CHAT, "structured_outputs": {"grammar": LONG}},
        "structured_outputs.grammar",
    ),
    (parse_completion_request, {**TEXT, "prompt": [-1] * MANY}, "prompt[0]"),
    (parse_completion_request, {**TEXT, "prompt": ["a"] * MANY}, "prompt"),
    (parse_completion_request, {**TEXT, "prompt": [[-1]] * MANY}, "prompt[0][0]"),
    (parse_completion_request, {**TEXT, "prompt": ["a", *[1] * MANY]}, "prompt[1]"),
    (parse_completion_request, {**TEXT, "logit_bias": many_keys(1)}, "logit_bias"),
    (parse_and_translate, {**RESPONSE, "input": [1] * MANY}, "input[0]"),
    (parse_and_translate, {**RESPONSE, "input": [MESSAGE] * 10_000}, "input"),
    (
        parse_and_translate,
        {**RESPONSE, "input": [{"role": "user", "content": [1] * MANY}]},
        "input[0].content[0]",
    ),
    (parse_and_translate, {**RESPONSE, "include": ["x"] * MANY}, "include[0]"),
    (parse_and_translate, {**RESPONSE, "metadata": many_keys("a")}, "metadata"),
    (parse_and_translate, {**RESPONSE, "metadata": {"a": LONG}}, "metadata.a"),
    (parse_and_translate, {**RESPONSE, "metadata": {LONG: "a"}}, "metadata"),
    (parse_and_translate, {**RESPONSE, "prompt_cache_key": LONG}, "prompt_cache_key"),
    (parse_and_translate, {**RESPONSE, "user": LONG}, "user"),
    *(
        (messages.parse_and_translate, {**ANTHROPIC, **fields}, param)
        for fields, param in (
            ({"messages": [1] * MANY}, "messages[0]"),
            ({"messages": [MESSAGE] * 10_000}, "messages"),
            ({"messages": [{"role": LONG, "content": "a"}]}, "messages[0]"),
            ({"messages": [{"role": "user", "content": [1] * MANY}]}, "messages[0].content[0]"),
            ({"messages": [{"role": "user", "content": [RESULT] * 2000}]}, "messages[0].content"),
            ({"messages": [{"role": "user", "content": [RESULT] * 1000}] * 5}, "messages"),
            (
                {"messages": [{"role": "user", "content": [{**RESULT, "content": [1] * MANY}]}]},
                "messages[0].content[0].content[0]",
            ),
            (
                {"messages": [{"role": "assistant", "content": [USE] * 1000}]},
                "messages[0].content",
            ),
            (
                {"messages": [{"role": "assistant", "content": [{**USE, "id": LONG}]}]},
                "messages[0].content[0].id",
            ),
            (
                {"messages": [{"role": "assistant", "content": [{**USE, "input": {"a": LONG}}]}]},
                "messages[0].content[0].input",
            ),
            ({"messages": [{"role": "user", "content": [{"type": LONG}]}]}, BLOCK),
            ({"system": [1] * MANY}, "system[0]"),
            ({"stop_sequences": ["a"] * MANY}, "stop_sequences"),
            ({"stop_sequences": [LONG]}, "stop_sequences[0]"),
            ({"tools": [1] * MANY}, "tools[0]"),
            ({"tools": [{"name": LONG, "input_schema": {}}]}, "tools[0].name"),
            ({"tools": [{"name": "f", "input_schema": {"a": LONG}}]}, "tools[0].input_schema"),
            ({"tool_choice": {"type": LONG}}, "tool_choice"),
            ({"thinking": {"type": LONG}}, "thinking.type"),
        )
    ),
    (parse_tokenize_request, {"messages": [1] * MANY}, "messages[0]"),
    (parse_tokenize_request, {"messages": [MESSAGE], "tools": [TOOL] * 129}, "tools"),
    (parse_tokenize_request, {"prompt": [1] * MANY}, "prompt"),
    (parse_detokenize_request, {"tokens": [-1] * MANY}, "tokens[0]"),
    (parse_detokenize_request, {"tokens": [1] * 262_145}, "tokens"),
    (parse_detokenize_request, {"tokens": many_keys(1)}, "tokens"),
]


@pytest.mark.parametrize(
    ("parse", "fields", "param"),
    HOSTILE,
    ids=[f"{param}-{i}" for i, (*_, param) in enumerate(HOSTILE)],
)
def test_stops_at_the_first_error(
    parse: Parse, fields: dict[str, Any], param: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    def build_and_count(error: ValidationError) -> InvalidValue:
        counts.append(error.error_count())
        return build(error)

    build = wire.build_validation_error
    for module in (wire, tokenize, messages):
        monkeypatch.setattr(module, "build_validation_error", build_and_count)
    with pytest.raises(InvalidValue) as raised:
        parse(json.dumps(fields).encode())
    assert raised.value.param == param
    assert len(raised.value.message) < 400
    assert all(count <= MAX_ERRORS for count in counts)


@pytest.mark.parametrize("parse", [parse_chat_request, parse_completion_request])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("1" + "0" * 10_000_000, "number out of range"),
        (json.dumps(deep(150)).replace("]" * 151, "{" * 100), "a key must be a string"),
        ("[" * 10_000, "it is nested deeper than 200 levels"),
        ('"\\ud800"', "half of a surrogate pair"),
        ("-", "invalid number"),
    ],
    ids=["digits", "wrong end", "deep", "surrogate", "minus"],
)
def test_refuses_json_that_cannot_be_read(parse: Parse, value: str, reason: str) -> None:
    with pytest.raises(InvalidJson) as raised:
        parse(f'{{"model": "m", "metadata": {value}}}'.encode())
    assert raised.value.message.startswith(f"The body is not valid JSON: {reason}")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 300])
@pytest.mark.parametrize("field", ["temperature", "top_p", "seed", "n", "top_k"])
def test_refuses_numbers_out_of_range(field: str, value: str) -> None:
    body = json.dumps(CHAT)[:-1] + f', "{field}": {value}}}'
    with pytest.raises(InvalidValue) as raised:
        parse_chat_request(body.encode())
    assert raised.value.param == field


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    "place", ["repetition_penalty", "media_io_kwargs.video.fps", "presence_penalty"]
)
def test_refuses_numbers_without_an_end(place: str, value: str) -> None:
    *outer, name = place.split(".")
    field = f'"{name}": {value}'
    for each in reversed(outer):
        field = f'"{each}": {{{field}}}'
    with pytest.raises(InvalidValue) as raised:
        parse_chat_request((json.dumps(CHAT)[:-1] + f", {field}}}").encode())
    assert raised.value.param == place


def test_cuts_the_name_of_an_unknown_parameter() -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        parse_chat_request(json.dumps({**CHAT, LONG: 1}).encode())
    assert raised.value.message == f"Unknown or unsupported parameter: '{'x' * 99}…'."
    assert raised.value.param == "x" * 99 + "…"


def test_a_repeated_key_counts_once() -> None:
    body = json.dumps(CHAT)[:-1] + ', "n": 1' * 50_000 + ', "n": 0}'
    with pytest.raises(InvalidValue) as raised:
        parse_chat_request(body.encode())
    assert raised.value.param == "n"


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, True, None, "text", {"b": {}}], "c": []},
        {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
        {"a": deep(100)},
    ],
)
def test_counts_no_more_characters_than_the_json_has(value: Any) -> None:
    length = len(json.dumps(value, separators=(",", ":")))
    assert 0.5 * length <= count_json_characters(value) <= length


def test_stops_counting_beyond_the_limit() -> None:
    value = {str(key): "x" * 1000 for key in range(10_000)}
    count = count_json_characters(value)
    assert MAX_JSON_CHARACTERS < count < 2 * MAX_JSON_CHARACTERS
