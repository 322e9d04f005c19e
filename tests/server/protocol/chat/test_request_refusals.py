"""Chat request bodies that are refused, and the field that the error names."""

import json
from typing import Any

import pytest

from server.errors import InvalidJson, InvalidValue
from server.protocol.chat.request import (
    parse_chat_request,
)
from tests.server.protocol.chat.bodies import (
    SECRET,
    body,
    call,
    image,
    one_message,
    parse_refused,
    schema_format,
    text,
    tool,
)

BAD: list[tuple[dict[str, Any], str]] = [
    ({"model": ""}, "model"),
    ({"model": None}, "model"),
    ({"model": [SECRET]}, "model"),
    ({"messages": []}, "messages"),
    ({"messages": None}, "messages"),
    ({"messages": SECRET}, "messages"),
    ({"messages": {"role": "user", "content": SECRET}}, "messages"),
    ({"messages": [SECRET]}, "messages[0]"),
    ({"messages": [{"role": "user", "content": "hi"}, None]}, "messages[1]"),
    ({"messages": [{"content": SECRET}]}, "messages[0].role"),
    (one_message(SECRET, "hi"), "messages[0].role"),
    (one_message("function", SECRET), "messages[0].role"),
    (one_message("tool", SECRET), "messages[0]"),
    (one_message("user", SECRET, tool_calls=[call()]), "messages[0]"),
    (one_message("User", "hi"), "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0]"),
    (one_message("user", None), "messages[0]"),
    (
        one_message("assistant", None, tool_calls=[{"id": SECRET}]),
        "messages[0].tool_calls[0].function",
    ),
    (
        one_message("assistant", "fine", tool_calls=[call(type=SECRET)]),
        "messages[0].tool_calls[0].type",
    ),
    (one_message("assistant", "fine", tool_calls=SECRET), "messages[0].tool_calls"),
    (one_message("user", 5), "messages[0].content"),
    (one_message("user", {"type": "text", "text": SECRET}), "messages[0].content"),
    (one_message("user", []), "messages[0].content"),
    (one_message("user", [SECRET]), "messages[0].content[0]"),
    (one_message("user", [text(), {"type": SECRET}]), "messages[0].content[1]"),
    (one_message("user", [{"text": SECRET}]), "messages[0].content[0]"),
    (one_message("user", [{"type": ["text"], "text": SECRET}]), "messages[0].content[0]"),
    (one_message("user", [{"type": "input_audio", "input_audio": {}}]), "messages[0].content[0]"),
    (one_message("user", [{"type": "text"}]), "messages[0].content[0].text"),
    (one_message("user", [{"type": "text", "text": None}]), "messages[0].content[0].text"),
    (one_message("user", [{"type": "text", "text": [SECRET]}]), "messages[0].content[0].text"),
    (one_message("user", [{"type": "image_url"}]), "messages[0].content[0].image_url"),
    (
        one_message("user", [text(), {"type": "image_url", "image_url": [SECRET]}]),
        "messages[0].content[1].image_url",
    ),
    (
        one_message("user", [{"type": "image_url", "image_url": {}}]),
        "messages[0].content[0].image_url.url",
    ),
    (one_message("user", [text(), image(5)]), "messages[0].content[1].image_url.url"),
    (one_message("user", [image("")]), "messages[0].content[0].image_url.url"),
    (one_message("user", [image(detail=SECRET)]), "messages[0].content[0].image_url.detail"),
    (one_message("system", [text(), image(SECRET)]), "messages[0]"),
    (one_message("developer", [image(SECRET)]), "messages[0]"),
    (one_message("assistant", [image(SECRET)]), "messages[0]"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": -2}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_tokens": "1"}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"max_completion_tokens": 0}, "max_completion_tokens"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": SECRET}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"temperature": float("nan")}, "temperature"),
    ({"temperature": float("inf")}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"top_p": 1.1}, "top_p"),
    ({"top_p": float("nan")}, "top_p"),
    ({"stop": ""}, "stop[0]"),
    ({"stop": 5}, "stop"),
    ({"stop": [1]}, "stop[0]"),
    ({"stop": [SECRET, ""]}, "stop[1]"),
    ({"stop": [SECRET] * 5}, "stop"),
    ({"seed": 1.5}, "seed"),
    ({"seed": "1"}, "seed"),
    ({"seed": 2**63}, "seed"),
    ({"seed": -(2**63) - 1}, "seed"),
    ({"seed": 10**40}, "seed"),
    ({"stream": "true"}, "stream"),
    ({"stream": 1}, "stream"),
    ({"stream": True, "stream_options": True}, "stream_options"),
    ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ({"n": 0}, "n"),
    ({"n": 129}, "n"),
    ({"n": True}, "n"),
    ({"logprobs": 0}, "logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"frequency_penalty": "0"}, "frequency_penalty"),
    ({"frequency_penalty": 2.1}, "frequency_penalty"),
    ({"presence_penalty": float("nan")}, "presence_penalty"),
    ({"repetition_penalty": 0}, "repetition_penalty"),
    ({"min_p": 1.1}, "min_p"),
    ({"top_k": -2}, "top_k"),
    ({"top_k": False}, "top_k"),
    ({"top_k": 1.5}, "top_k"),
    ({"logit_bias": {"7": 101}}, "logit_bias['7']"),
    ({"logit_bias": {"x": 1}}, "logit_bias['x']"),
    ({"logit_bias": {"-1": 1}}, "logit_bias['-1']"),
    ({"logit_bias": {"k" * 500: 1}}, f"logit_bias['{'k' * 99}…']"),
    ({"logit_bias": [SECRET]}, "logit_bias"),
    ({"stop_token_ids": [-1]}, "stop_token_ids[0]"),
    ({"stop_token_ids": ["1"]}, "stop_token_ids[0]"),
    ({"response_format": SECRET}, "response_format"),
    ({"response_format": {"type": SECRET}}, "response_format"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"response_format": schema_format(SECRET)}, "response_format.json_schema.schema"),
    ({"response_format": schema_format({}, name="")}, "response_format.json_schema.name"),
    ({"structured_outputs": SECRET}, "structured_outputs"),
    ({"structured_outputs": {}}, "structured_outputs"),
    ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs"),
    ({"structured_outputs": {"choice": []}}, "structured_outputs.choice"),
    ({"structured_outputs": {"json_object": False}}, "structured_outputs"),
    ({"chat_template_kwargs": SECRET}, "chat_template_kwargs"),
    ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
    ({"tools": [{"type": "custom", "custom": {"name": SECRET}}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [tool("a b")]}, "tools[0].function.name"),
    ({"tools": [tool("f", parameters=SECRET)]}, "tools[0].function.parameters"),
    ({"tools": [tool("f")], "tool_choice": SECRET}, "tool_choice"),
    ({"tools": [tool("f")], "tool_choice": {"type": "function"}}, "tool_choice.function"),
    ({"ignore_eos": 1}, "ignore_eos"),
    ({"min_tokens": -1}, "min_tokens"),
]


@pytest.mark.parametrize(("changes", "param"), BAD, ids=[json.dumps(c)[:70] for c, _ in BAD])
def test_refuses_naming_the_field_and_no_value(changes: dict[str, Any], param: str) -> None:
    error = parse_refused(body(**changes))
    assert type(error) is InvalidValue
    assert error.param == param
    assert f"'{param}'" in error.message
    assert SECRET not in repr(error.args)
    # The validator's own error contains the input, so it must not be chained to ours.
    assert error.__suppress_context__
    assert error.__cause__ is None


CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"top_logprobs": 1}, "top_logprobs"),
    (
        {"structured_outputs": {"regex": "a"}, "response_format": {"type": "json_object"}},
        "structured_outputs",
    ),
    ({"tools": [tool("f"), tool("f")]}, "tools"),
    ({"tools": [tool("f")], "tool_choice": tool("g")}, "tool_choice"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": tool("f")}, "tool_choice"),
]


@pytest.mark.parametrize(("changes", "param"), CONTRADICTIONS)
def test_refuses_fields_that_contradict_each_other(changes: dict[str, Any], param: str) -> None:
    error = parse_refused(body(**changes))
    assert type(error) is InvalidValue
    assert error.param == param


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_refuses_min_tokens_above_the_token_limit(limit: str) -> None:
    error = parse_refused(body(**{"min_tokens": 6, limit: 5}))
    assert type(error) is InvalidValue
    assert error.param == "min_tokens"


@pytest.mark.parametrize(
    "changes",
    [
        {"stream_options": {"include_usage": True}},
        {"stream_options": {}},
        {"stream": False, "stream_options": {}},
        {"stream": None, "stream_options": {"include_usage": False}},
    ],
)
def test_refuses_stream_options_without_a_stream(changes: dict[str, Any]) -> None:
    error = parse_refused(body(**changes))
    assert type(error) is InvalidValue
    assert "'stream_options'" in error.message


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_refuses_a_missing_field(missing: str) -> None:
    fields = json.loads(body())
    del fields[missing]
    error = parse_refused(json.dumps(fields).encode())
    assert type(error) is InvalidValue
    assert error.param == missing


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"x"', b"5"])
def test_refuses_json_other_than_an_object(raw: bytes) -> None:
    error = parse_refused(raw)
    assert type(error) is InvalidValue
    assert error.param is None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "it is empty"),
        (b" ", "it is empty"),
        (b"{", "it ends early, at line 1 column 1"),
        (b"hi", "expected value, at line 1 column 1"),
        (body()[:-1], f"it ends early, at line 1 column {len(body()) - 1}"),
        (body()[:-1] + b",}", f"trailing comma, at line 1 column {len(body()) + 1}"),
        (body() + b" x", f"there is more text after its end, at line 1 column {len(body()) + 2}"),
        (b"{\n'model': 1}", "a key must be a string in double quotes, at line 2 column 1"),
        (b'{"model": "\xff"}', "it is not UTF-8 at byte 11"),
        (b'{"model": "\xed\xa0\x80"}', "it is not UTF-8 at byte 11"),
        (b'"' + b"a" * 65_534 + b'\xc3\xa9\xe9"', "it is not UTF-8 at byte 65537"),
        (b'{"model": "\\ud800"}', "half of a surrogate pair, at line 1 column 18"),
        (
            b'{"model": "line\nbreak"}',
            "a control character, such as a line break, within a string, at line 2 column 0",
        ),
        (body(seed=0).replace(b'"seed": 0', b'"seed": 1' + b"0" * 5000), "number out of range"),
        (body().decode().encode("utf-16"), "it is UTF-16. Send it as UTF-8"),
        (body().decode().encode("utf-16-be"), "it is UTF-16. Send it as UTF-8"),
        (body().decode().encode("utf-32"), "it is UTF-32. Send it as UTF-8"),
        (b"[" * 100_000, "it is nested deeper than 200 levels, at line 1 column 202"),
        (
            b'{"metadata": ' + b"[" * 5000 + b"]" * 5000 + b"}",
            "it is nested deeper than 200 levels",
        ),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_refuses_invalid_json_and_says_where_and_why(raw: bytes, reason: str) -> None:
    error = parse_refused(raw)
    assert type(error) is InvalidJson
    assert error.param is None
    assert error.message.startswith(f"The body is not valid JSON: {reason}")
    assert error.__suppress_context__


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse_chat_request(b"\xef\xbb\xbf" + body()) == parse_chat_request(body())


def test_stream_options_names_its_field() -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_chat_request(body(stream_options={"include_usage": True}))
    assert caught.value.param == "stream_options"
