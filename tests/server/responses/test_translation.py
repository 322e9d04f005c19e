"""Responses requests as chat requests, and the fields that errors name."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import (
    ApiError,
    ImageFetchFailed,
    InvalidRequest,
    InvalidValue,
    UnsupportedParameter,
)
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from server.protocol.formats import JsonObjectFormat, JsonSchemaFormat, TextFormat
from server.protocol.tools import AllowedTools, NamedTool
from server.responses.translation import TranslatedResponsesRequest, parse_and_translate

URL = "http://host/a.png"
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
CALL = {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "rain"}


def translate(body_input: Any = "Hi", **more: Any) -> TranslatedResponsesRequest:
    """Return a translated body."""
    return parse_and_translate(json.dumps({"model": "m", "input": body_input, **more}).encode())


def translate_messages(body_input: Any, **more: Any) -> list[dict[str, Any]]:
    """Return the chat messages of an input."""
    chat = translate(body_input, **more).chat
    return [message.model_dump(exclude_none=True) for message in chat.messages]


def message(role: str, *parts: Any) -> dict[str, Any]:
    """Return an input message."""
    return {"role": role, "content": list(parts)}


def image(url: str = URL, **more: Any) -> dict[str, Any]:
    """Return an image part."""
    return {"type": "input_image", "image_url": url, **more}


def text(content: str) -> dict[str, Any]:
    """Return a text part."""
    return {"type": "input_text", "text": content}


def build_chat_request(**body: Any) -> ChatCompletionRequest:
    """Return a minimal chat request with some fields."""
    base = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    return parse_chat_request(json.dumps(base | body).encode())


def test_a_string_becomes_a_user_message_after_the_instructions() -> None:
    assert translate_messages("Hi", instructions="Be kind.") == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
    ]


@pytest.mark.parametrize("role", ["user", "assistant", "system", "developer"])
@pytest.mark.parametrize("typed", [{}, {"type": "message"}])
def test_messages_keep_their_role(role: str, typed: dict[str, str]) -> None:
    assert translate_messages([{"role": role, "content": "a", **typed}]) == [
        {"role": role, "content": "a"}
    ]


def test_parts_keep_their_indices() -> None:
    [translated] = translate_messages(
        [message("user", image(detail="low"), text("What?"), image())]
    )
    assert translated["content"] == [
        {"type": "image_url", "image_url": {"url": URL, "detail": "low"}},
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": URL}},
    ]


def test_an_earlier_output_is_accepted_unchanged() -> None:
    answer = {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "red", "annotations": [], "logprobs": []}],
    }
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    refused = message("assistant", {"type": "refusal", "refusal": "No."})
    assert translate_messages([thought, answer, refused, {"role": "user", "content": "Sure?"}]) == [
        {"role": "assistant", "content": [{"type": "text", "text": "red"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "content": "Sure?"},
    ]


def test_calls_are_added_to_the_assistants_message_before_them() -> None:
    second = CALL | {"call_id": "c2"}
    items = [
        {"role": "assistant", "content": "Let me see."},
        CALL,
        {"type": "reasoning", "id": "rs_1", "summary": []},
        second,
        RESULT,
        RESULT | {"call_id": "c2", "output": [text("a"), text("b")]},
        CALL | {"call_id": "c3"},
    ]
    answer, first, other, alone = translate_messages(items)
    assert answer["content"] == "Let me see."
    assert [call["id"] for call in answer["tool_calls"]] == ["c1", "c2"]
    assert answer["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": "{}"}
    assert first == {"role": "tool", "content": "rain", "tool_call_id": "c1"}
    assert [part["text"] for part in other["content"]] == ["a", "b"]
    assert alone["role"] == "assistant"
    assert "content" not in alone


def test_sampling_fields_are_the_chats() -> None:
    sampling = {"temperature": 0.5, "top_p": 0.25, "seed": 3, "stop": "x", "top_k": 5, "min_p": 0.1}
    translated = translate(
        max_output_tokens=7, parallel_tool_calls=False, stream=True, **sampling
    ).chat
    expected = build_chat_request(
        max_completion_tokens=7, parallel_tool_calls=False, stream=True, **sampling
    )
    left_out = {"messages", "logprobs"}
    assert translated.model_dump(exclude=left_out) == expected.model_dump(exclude=left_out)


def test_include_requests_log_probabilities() -> None:
    include = ["message.output_text.logprobs", "reasoning.encrypted_content"]
    assert translate(include=include, top_logprobs=3).chat.num_logprobs == 3
    assert translate(include=include).chat.num_logprobs == 0
    assert translate(include=include[1:]).chat.num_logprobs is None
    assert translate(top_logprobs=0).chat.num_logprobs is None


def test_formats() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    flat = {"type": "json_schema", "name": "thing", "schema": schema, "strict": True}
    response_format = translate(text={"format": flat, "verbosity": "medium"}).chat.response_format
    assert isinstance(response_format, JsonSchemaFormat)
    assert response_format.json_schema.schema_ == schema
    assert response_format.json_schema.name == "thing"
    response_format = translate(text={"format": {"type": "json_object"}}).chat.response_format
    assert isinstance(response_format, JsonObjectFormat)
    assert isinstance(translate(text={"format": {"type": "text"}}).chat.response_format, TextFormat)
    assert translate(text={}).chat.response_format is None


def test_tools_and_choices() -> None:
    named = {"type": "function", "name": "get_weather"}
    translated = translate(tools=[TOOL], tool_choice=named).chat
    assert translated.tools is not None
    assert translated.tools[0].function.name == "get_weather"
    assert translated.tools[0].function.parameters == {"type": "object"}
    assert isinstance(translated.tool_choice, NamedTool)
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [named]}
    choice = translate(tools=[TOOL], tool_choice=allowed).chat.tool_choice
    assert isinstance(choice, AllowedTools)
    assert choice.allowed_tools.mode == "required"
    assert translate(tools=[TOOL], tool_choice="required").chat.tool_choice == "required"


IGNORED_FIELDS: list[dict[str, Any]] = [
    {"store": True},
    {"store": False},
    {"background": False},
    {"previous_response_id": None, "conversation": None, "prompt": None},
    {"truncation": "disabled"},
    {"max_tool_calls": None},
    {"reasoning": {"effort": None, "summary": "auto"}},
    {"reasoning": {"effort": "none"}},
    {"reasoning": None},
    {"text": None, "tools": None, "include": None, "metadata": None, "stream_options": None},
    {"stream": True, "stream_options": {"include_obfuscation": False}},
    {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "service_tier": "auto"},
    {"tool_choice": "auto", "parallel_tool_calls": True, "tools": []},
    {"n": 1},
]


@pytest.mark.parametrize("fields", IGNORED_FIELDS, ids=str)
def test_ignored_fields_are_accepted(fields: dict[str, Any]) -> None:
    assert translate(**fields).chat.messages[0].content == "Hi"


STATEFUL_FIELD = "previous_response_id"
FORMAT = {"type": "json_schema", "name": "x"}

BAD: dict[str, tuple[dict[str, Any], str | None]] = {
    "no input": ({"input": None}, "input"),
    "empty input": ({"input": []}, "input"),
    "input a number": ({"input": 3}, "input"),
    "chat's messages": ({"messages": []}, "messages"),
    "an item of another kind": ({"input": [{"type": "computer_call"}]}, "input[0]"),
    "an item a string": ({"input": ["Hi"]}, "input[0]"),
    "a reference": ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
    "a reference without a type": ({"input": [{"id": "msg_1"}]}, "input[0]"),
    "a robot": ({"input": [{"role": "robot", "content": "Hi"}]}, "input[0].role"),
    "no content": ({"input": [{"role": "user"}]}, "input[0].content"),
    "content of nothing": ({"input": [message("user")]}, "input[0].content"),
    "a file": (
        {"input": [message("user", text("a"), {"type": "input_file", "file_id": "f"})]},
        "input[0].content[1]",
    ),
    "an image by id": (
        {"input": [message("user", {"type": "input_image", "file_id": "f"})]},
        "input[0].content[0].file_id",
    ),
    "an image without URL": (
        {"input": [message("user", {"type": "input_image"})]},
        "input[0].content[0].image_url",
    ),
    "an image whose URL is a number": (
        {"input": [message("user", {"type": "image_url", "image_url": {"url": 5}})]},
        "input[0].content[0].image_url.url",
    ),
    "a detail": ({"input": [message("user", image(detail="x"))]}, "input[0].content[0].detail"),
    "an assistant's image": ({"input": [message("assistant", image())]}, "input[0]"),
    "a call without id": (
        {"input": [{"type": "function_call", "name": "a", "arguments": ""}]},
        "input[0].call_id",
    ),
    "a file as a result": (
        {"input": [RESULT | {"output": [{"type": "input_file", "file_id": "f"}]}]},
        "input[0].output[0]",
    ),
    "no tokens": ({"max_output_tokens": 0}, "max_output_tokens"),
    "a chat's limit": ({"max_tokens": 5}, "max_tokens"),
    "two answers": ({"n": 2}, "n"),
    "a tool of OpenAI's": ({"tools": [TOOL, {"type": "web_search"}]}, "tools[1].type"),
    "a chat's tool": ({"tools": [{"type": "function", "function": TOOL}]}, "tools[0].name"),
    "equal names": ({"tools": [TOOL, TOOL]}, "tools"),
    "a choice of another kind": (
        {"tools": [TOOL], "tool_choice": {"type": "file_search"}},
        "tool_choice",
    ),
    "a choice of nothing": ({"tool_choice": "required"}, "tool_choice"),
    "an unknown function": (
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "b"}},
        "tool_choice",
    ),
    "a format": ({"text": {"format": {"type": "grammar"}}}, "text.format"),
    "a format without schema": ({"text": {"format": FORMAT}}, "text.format.schema"),
    "a verbosity": ({"text": {"verbosity": "low"}}, "text.verbosity"),
    "an include": ({"include": ["everything"]}, "include[0]"),
    "top_logprobs alone": ({"top_logprobs": 2}, "top_logprobs"),
    "stream_options alone": ({"stream_options": {}}, "stream_options"),
    "min_tokens above the limit": ({"min_tokens": 5, "max_output_tokens": 4}, "min_tokens"),
    "truncation": ({"truncation": "auto"}, "truncation"),
    "reasoning": ({"reasoning": {"effort": "high"}}, "reasoning.effort"),
    "state": ({"previous_response_id": "resp_1"}, "previous_response_id"),
    "a conversation": ({"conversation": "conv_1"}, "conversation"),
    "a stored prompt": ({"prompt": {"id": "p"}}, "prompt"),
    "the background": ({"background": True}, "background"),
    "a slip": ({"temprature": 1}, "temprature"),
    "metadata": ({"metadata": {"a": 1}}, "metadata.a"),
}


@pytest.mark.parametrize(("body", "param"), BAD.values(), ids=BAD)
def test_errors_name_the_field(body: dict[str, Any], param: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        translate(**{"body_input": body.pop("input", "Hi"), **body})
    assert caught.value.status == 400
    assert caught.value.param == param


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt", "background"])
def test_stateful_fields_have_an_error_message_of_their_own(field: str) -> None:
    with pytest.raises(UnsupportedParameter, match=f"'{field}'.*keeps no state"):
        translate(**{field: True})


INPUT = [
    {"type": "reasoning", "id": "rs_1"},
    message("user", text("What?"), image()),
    CALL,
    RESULT,
]
PARAMS = {
    "messages": "input",
    "messages[0]": "instructions",
    "messages[0].content": "instructions",
    "messages[1]": "input[1]",
    "messages[1].content": "input[1].content",
    "messages[1].content[1].image_url": "input[1].content[1].image_url",
    "messages[2]": "input[2]",
    "messages[3].content[0].image_url": "input[3].output[0].image_url",
    "messages[3].tool_call_id": "input[3].call_id",
    "response_format": "text.format",
    "response_format.json_schema.schema": "text.format.schema",
    "tools": "tools",
    "tools[12].function.parameters": "tools[12].parameters",
    "stop_token_ids": "stop_token_ids",
    "model": "model",
}


@pytest.mark.parametrize(("chats", "own"), PARAMS.items())
def test_params_of_chat_errors_are_translated(chats: str, own: str) -> None:
    error = translate(INPUT, instructions="Be kind.").translate_error(
        ImageFetchFailed("It is gone.", chats)
    )
    assert isinstance(error, ImageFetchFailed)
    assert (error.message, error.param) == ("It is gone.", own)


def test_errors_within_a_string_input_name_the_input() -> None:
    error = translate("Hi").translate_error(InvalidValue("Too odd.", "messages[0].content"))
    assert error.param == "input"


def test_an_error_without_a_param_is_unchanged() -> None:
    error = ApiError("The server failed.")
    assert translate("Hi").translate_error(error) is error


# No value that a client can send makes the translation fail otherwise.

RICH: dict[str, Any] = {
    "model": "m",
    "input": [message("user", text("What?"), image(detail="low")), CALL, RESULT],
    "instructions": "Be kind.",
    "tools": [TOOL],
    "tool_choice": {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "get_weather"}],
    },
    "text": {"format": {**FORMAT, "schema": {"type": "object"}}, "verbosity": "medium"},
    "include": ["message.output_text.logprobs"],
    "top_logprobs": 2,
    "metadata": {"a": "b"},
    "reasoning": {"effort": "none", "summary": "auto"},
    "stream": True,
    "stream_options": {"include_obfuscation": True},
    "stop": ["a"],
    "logit_bias": {"3": 1.5},
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=4,
)


def list_paths(value: Any) -> list[list[Any]]:
    """Return the paths to all values within a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, each in inner:
        found.append([key])
        if isinstance(each, dict | list):
            found += [[key, *rest] for rest in list_paths(each)]
    return found


@settings(max_examples=500)
@given(path=st.sampled_from(list_paths(RICH)), value=VALUES)
def test_odd_values_are_translated_or_refused(path: list[Any], value: Any) -> None:
    body = copy.deepcopy(RICH)
    parent = body
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    try:
        translated = parse_and_translate(json.dumps(body).encode())
    except InvalidRequest:
        return
    assert len(translated.origins) == len(translated.chat.messages)
