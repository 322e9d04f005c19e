"""Request bodies: what is understood, and what is refused under which name."""

import json
from typing import Any

import pytest

from server.errors import ApiError, InvalidJson, InvalidValue, UnsupportedParameter
from server.protocol import wire
from server.protocol.chat.request import (
    IGNORED_VALUES,
    ImageReference,
    format_field_path,
    parse_chat_request,
)
from server.protocol.formats import (
    JsonObjectFormat,
    JsonSchema,
    JsonSchemaFormat,
    StructuredOutputs,
    TextFormat,
)

SECRET = "hunter2"


def text(words: str = "hi") -> dict[str, Any]:
    """Return a text part."""
    return {"type": "text", "text": words}


def image(url: Any = "https://example.org/cat.png", **more: Any) -> dict[str, Any]:
    """Return an image part."""
    return {"type": "image_url", "image_url": {"url": url, **more}}


def body(**changes: Any) -> bytes:
    """Return a small good body with some fields changed."""
    fields = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **changes}
    return json.dumps(fields).encode()


def one(role: str, content: Any, **more: Any) -> dict[str, Any]:
    """Return the change that makes a conversation of one message."""
    return {"messages": [{"role": role, "content": content, **more}]}


def refusal(raw: bytes) -> ApiError:
    """Return the error that a body is refused with."""
    with pytest.raises(ApiError) as caught:
        parse_chat_request(raw)
    return caught.value


def test_smallest_body_leaves_every_choice_open() -> None:
    request = parse_chat_request(body())
    assert request.model == "m"
    assert request.images == []
    assert request.stop_strings == []
    assert request.token_limit is None
    assert request.include_usage is False
    assert (request.temperature, request.top_p, request.seed, request.stream) == (None,) * 4


def schema_format(schema: Any, **changes: Any) -> dict[str, Any]:
    """Return a `response_format`."""
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, **changes}}


def tool(name: Any, **changes: Any) -> dict[str, Any]:
    """Return a tool."""
    return {"type": "function", "function": {"name": name, **changes}}


def call(call_id: str = "c1", **changes: Any) -> dict[str, Any]:
    """Return a tool call."""
    function = {"name": "f", "arguments": "{}"}
    return {"id": call_id, "type": "function", "function": function, **changes}


GOOD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 5}, {"token_limit": 5}),
    ({"max_completion_tokens": 6}, {"token_limit": 6}),
    ({"max_tokens": 5, "max_completion_tokens": 6}, {"token_limit": 6}),
    ({"max_tokens": 5, "max_completion_tokens": None}, {"token_limit": 5}),
    ({"max_tokens": None}, {"token_limit": None}),
    ({"temperature": 0}, {"temperature": 0.0}),
    ({"temperature": 2}, {"temperature": 2.0}),
    ({"temperature": None}, {"temperature": None}),
    ({"top_p": 1}, {"top_p": 1.0}),
    ({"top_p": 1e-6}, {"top_p": 1e-6}),
    ({"stop": "###"}, {"stop_strings": ["###"]}),
    ({"stop": ["a", "b", "c", "d"]}, {"stop_strings": ["a", "b", "c", "d"]}),
    ({"stop": []}, {"stop_strings": []}),
    ({"stop": None}, {"stop_strings": []}),
    ({"stop": "\n"}, {"stop_strings": ["\n"]}),
    ({"seed": 0}, {"seed": 0}),
    ({"seed": -(2**63)}, {"seed": -(2**63)}),
    ({"seed": 2**63 - 1}, {"seed": 2**63 - 1}),
    ({"stream": False}, {"stream": False}),
    ({"stream": True}, {"stream": True, "include_usage": False}),
    ({"stream": True, "stream_options": {"include_usage": True}}, {"include_usage": True}),
    ({"stream": True, "stream_options": {"include_usage": False}}, {"include_usage": False}),
    ({"stream": True, "stream_options": {}}, {"include_usage": False}),
    ({"stream": True, "stream_options": {"include_obfuscation": False}}, {"include_usage": False}),
    ({"stream_options": None}, {"include_usage": False}),
    (
        {
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        },
        {"continuous_usage": True},
    ),
    (
        {"stream": True, "stream_options": {"continuous_usage_stats": True}},
        {"continuous_usage": False},
    ),
    ({"n": 128}, {"n": 128}),
    ({"logprobs": True}, {"num_logprobs": 0}),
    ({"logprobs": True, "top_logprobs": 20}, {"num_logprobs": 20}),
    ({"logprobs": False, "top_logprobs": 0}, {"num_logprobs": None}),
    ({"logit_bias": {"50256": -100, "7": 2.5}}, {"logit_bias": {50256: -100.0, 7: 2.5}}),
    ({"presence_penalty": -2, "frequency_penalty": 2}, {"presence_penalty": -2.0}),
    ({"top_k": -1}, {"top_k": -1}),
    ({"min_p": 1, "repetition_penalty": 1.1}, {"min_p": 1.0, "repetition_penalty": 1.1}),
    ({"stop_token_ids": [0, 7]}, {"stop_token_ids": [0, 7]}),
    ({"response_format": {"type": "text"}}, {"response_format": TextFormat(type="text")}),
    (
        {"response_format": {"type": "json_object"}},
        {"response_format": JsonObjectFormat(type="json_object")},
    ),
    (
        {"response_format": schema_format({"$defs": {}, "title": "T"})},
        {
            "response_format": JsonSchemaFormat(
                type="json_schema",
                json_schema=JsonSchema(name="n", schema={"$defs": {}, "title": "T"}),
            )
        },
    ),
    (
        {"structured_outputs": {"choice": ["a", "b"]}},
        {"structured_outputs": StructuredOutputs(choice=["a", "b"])},
    ),
    ({"chat_template_kwargs": {"a": [1]}}, {"chat_template_kwargs": {"a": [1]}}),
    ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    ({"tools": [], "tool_choice": "auto"}, {"tools": [], "tool_choice": "auto"}),
    ({"tools": [tool("f")], "tool_choice": "required"}, {"tool_choice": "required"}),
    ({"ignore_eos": True}, {"ignore_eos": True}),
    ({"ignore_eos": None}, {"ignore_eos": None}),
    ({"min_tokens": 0}, {"min_tokens": 0}),
    ({"min_tokens": 5, "max_tokens": 5}, {"min_tokens": 5}),
]


@pytest.mark.parametrize(("changes", "expected"), GOOD, ids=[json.dumps(c) for c, _ in GOOD])
def test_understands(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    request = parse_chat_request(body(**changes))
    assert {name: getattr(request, name) for name in expected} == expected


GOOD_MESSAGES: list[tuple[dict[str, Any], str]] = [
    ({"role": "user", "content": "hi"}, "hi"),
    ({"role": "user", "content": ""}, ""),
    ({"role": "user", "content": [text("a"), text("b")]}, "a\nb"),
    ({"role": "user", "content": [image(), text("a")]}, "a"),
    ({"role": "system", "content": "s"}, "s"),
    ({"role": "system", "content": [text("s"), text("t")]}, "s\nt"),
    ({"role": "developer", "content": "d"}, "d"),
    ({"role": "assistant", "content": "a", "tool_calls": []}, "a"),
    ({"role": "assistant", "content": None, "tool_calls": [call()]}, ""),
    ({"role": "assistant", "content": "a", "tool_calls": [call()]}, "a"),
    ({"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}, "no"),
    ({"role": "tool", "content": "r", "tool_call_id": "c1"}, "r"),
    ({"role": "tool", "content": [text("r"), text("s")], "tool_call_id": "c1"}, "r\ns"),
    ({"role": "assistant", "content": "a", "tool_calls": None, "refusal": None}, "a"),
    ({"role": "user", "content": "hi", "name": "someone"}, "hi"),
    ({"role": "user", "content": [{**text("a"), "cache_control": {"type": "ephemeral"}}]}, "a"),
    ({"role": "user", "content": "\u65e5\u672c \U0001f600 \x00"}, "\u65e5\u672c \U0001f600 \x00"),
]


@pytest.mark.parametrize(("message", "expected"), GOOD_MESSAGES)
def test_understands_message(message: dict[str, Any], expected: str) -> None:
    (parsed,) = parse_chat_request(body(messages=[message])).messages
    assert parsed.role == message["role"]
    assert parsed.text == expected


DETAILS = (None, "auto", "low", "high")


def test_images_come_in_order_with_the_path_of_their_field() -> None:
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [image("http://a"), text(), image("http://b", detail="high")]},
        {"role": "assistant", "content": [text("fine")]},
        {"role": "user", "content": [text(), image("data:,", detail=None, extra=1)]},
    ]
    assert parse_chat_request(body(messages=messages)).images == [
        ImageReference("http://a", "messages[1].content[0].image_url.url"),
        ImageReference("http://b", "messages[1].content[2].image_url.url"),
        ImageReference("data:,", "messages[3].content[1].image_url.url"),
    ]


@pytest.mark.parametrize(
    ("detail", "low"), [({}, False), *(({"detail": d}, d == "low") for d in DETAILS)]
)
def test_only_detail_low_asks_for_less(detail: dict[str, Any], low: bool) -> None:
    (reference,) = parse_chat_request(
        body(messages=[{"role": "user", "content": [image("http://a", **detail)]}])
    ).images
    assert reference.low_detail is low


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
    (one(SECRET, "hi"), "messages[0].role"),
    (one("function", SECRET), "messages[0].role"),
    (one("tool", SECRET), "messages[0]"),
    (one("user", SECRET, tool_calls=[call()]), "messages[0]"),
    (one("User", "hi"), "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0]"),
    (one("user", None), "messages[0]"),
    (one("assistant", None, tool_calls=[]), "messages[0]"),
    (
        one("assistant", None, tool_calls=[{"id": SECRET}]),
        "messages[0].tool_calls[0].function",
    ),
    (
        one("assistant", "fine", tool_calls=[call(type=SECRET)]),
        "messages[0].tool_calls[0].type",
    ),
    (one("assistant", "fine", tool_calls=SECRET), "messages[0].tool_calls"),
    (one("user", 5), "messages[0].content"),
    (one("user", {"type": "text", "text": SECRET}), "messages[0].content"),
    (one("user", []), "messages[0].content"),
    (one("user", [SECRET]), "messages[0].content[0]"),
    (one("user", [text(), {"type": SECRET}]), "messages[0].content[1]"),
    (one("user", [{"text": SECRET}]), "messages[0].content[0]"),
    (one("user", [{"type": ["text"], "text": SECRET}]), "messages[0].content[0]"),
    (one("user", [{"type": "input_audio", "input_audio": {}}]), "messages[0].content[0]"),
    (one("user", [{"type": "text"}]), "messages[0].content[0].text"),
    (one("user", [{"type": "text", "text": None}]), "messages[0].content[0].text"),
    (one("user", [{"type": "text", "text": [SECRET]}]), "messages[0].content[0].text"),
    (one("user", [{"type": "image_url"}]), "messages[0].content[0].image_url"),
    (
        one("user", [text(), {"type": "image_url", "image_url": SECRET}]),
        "messages[0].content[1].image_url",
    ),
    (
        one("user", [{"type": "image_url", "image_url": {}}]),
        "messages[0].content[0].image_url.url",
    ),
    (one("user", [text(), image(5)]), "messages[0].content[1].image_url.url"),
    (one("user", [image("")]), "messages[0].content[0].image_url.url"),
    (one("user", [image(detail=SECRET)]), "messages[0].content[0].image_url.detail"),
    (one("system", [text(), image(SECRET)]), "messages[0]"),
    (one("developer", [image(SECRET)]), "messages[0]"),
    (one("assistant", [image(SECRET)]), "messages[0]"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 1.0}, "max_tokens"),
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
    ({"logit_bias": {"7": 101}}, "logit_bias"),
    ({"logit_bias": {SECRET: 1}}, "logit_bias"),
    ({"logit_bias": {"-1": 1}}, "logit_bias"),
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
    (
        {"structured_outputs": {"regex": "a", "whitespace_pattern": SECRET}},
        "structured_outputs.whitespace_pattern",
    ),
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
    error = refusal(body(**changes))
    assert type(error) is InvalidValue
    assert error.param == param
    assert f"'{param}'" in error.message
    assert SECRET not in repr(error.args)
    # The validator's own error quotes the input: it must not be shown with ours.
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
    error = refusal(body(**changes))
    assert type(error) is InvalidValue
    assert error.param == param


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_refuses_more_tokens_at_least_than_at_most(limit: str) -> None:
    error = refusal(body(**{"min_tokens": 6, limit: 5}))
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
    error = refusal(body(**changes))
    assert type(error) is InvalidValue
    assert "'stream_options'" in error.message


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_refuses_a_missing_field(missing: str) -> None:
    fields = json.loads(body())
    del fields[missing]
    error = refusal(json.dumps(fields).encode())
    assert type(error) is InvalidValue
    assert error.param == missing


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"x"', b"5"])
def test_refuses_json_that_is_no_object(raw: bytes) -> None:
    error = refusal(raw)
    assert type(error) is InvalidValue
    assert error.param is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"hi",
        body()[:-1],
        body() + b" x",
        body().replace(b'"hi"', b"'hi'"),
        body().replace(b'"hi"', b'"\xff"'),
        body().replace(b'"hi"', b'"\xed\xa0\x80"'),
        body().replace(b'"hi"', b'"\\ud800"'),
        body().replace(b'"hi"', b'"line\nbreak"'),
        body(seed=0).replace(b'"seed": 0', b'"seed": 1' + b"0" * 5000),
        b"\xef\xbb\xbf" + body(),
        body().decode().encode("utf-16"),
        b"[" * 100_000,
        b'{"model": "m", "metadata": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_refuses_what_is_not_json(raw: bytes) -> None:
    error = refusal(raw)
    assert type(error) is InvalidJson
    assert error.param is None
    assert error.message == "The body is not valid JSON."
    assert error.__suppress_context__


# For each field of HARMLESS: values that clients send by habit, and values that ask for something.
HABITS: dict[str, tuple[list[Any], list[Any]]] = {
    "add_generation_prompt": ([True], [False]),
    "continue_final_message": ([False], [True]),
    "echo": ([False], [True]),
    "function_call": (["none", "auto"], ["required", {"name": SECRET}]),
    "functions": ([[]], [[{"name": SECRET}]]),
    "metadata": ([{}, {"a": "b"}], []),
    "modalities": ([["text"]], [["text", "audio"], ["audio"], []]),
    "prompt_cache_key": (["k"], []),
    "prompt_cache_retention": (["24h"], []),
    "safety_identifier": (["s"], []),
    "service_tier": (["auto", "flex"], []),
    "store": ([True, False], []),
    "user": (["someone"], []),
}


def test_every_habit_is_tried() -> None:
    assert set(HABITS) == set(IGNORED_VALUES) | set(wire.IGNORED_VALUES)


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, (neutral, _) in HABITS.items() for value in [*neutral, None]],
)
def test_accepts_a_habit_that_changes_nothing(name: str, value: Any) -> None:
    assert parse_chat_request(body(**{name: value})).model == "m"


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, (_, asking) in HABITS.items() for value in asking]
)
def test_refuses_a_field_that_would_change_the_answer(name: str, value: Any) -> None:
    error = refusal(body(**{name: value}))
    assert type(error) is UnsupportedParameter
    assert error.param == name
    assert f"'{name}'" in error.message
    assert SECRET not in repr(error.args)


@pytest.mark.parametrize("name", ["temprature", "guided_json", "best_of", ""])
@pytest.mark.parametrize("value", [SECRET, None, 0])
def test_refuses_unknown_fields(name: str, value: Any) -> None:
    error = refusal(body(**{name: value}))
    assert type(error) is UnsupportedParameter
    assert error.param == name
    assert SECRET not in repr(error.args)


def test_a_wrong_value_is_told_before_an_unknown_field() -> None:
    assert refusal(body(unknown=1, max_tokens=0)).param == "max_tokens"


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ((), None),
        (("model",), "model"),
        (("messages", 0, "content", "#parts", 1, "#image_url", "image_url", "url"),
         "messages[0].content[1].image_url.url"),
        (("stop", "list[constrained-str]", 2), "stop[2]"),
        (("stop", "constrained-str"), "stop"),
    ],
)  # fmt: skip
def test_field_path(location: tuple[int | str, ...], path: str | None) -> None:
    assert format_field_path(location) == path


def test_stream_options_names_its_field() -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_chat_request(body(stream_options={"include_usage": True}))
    assert caught.value.param == "stream_options"


@pytest.mark.parametrize("changes", [{"echo": 0}, {"add_generation_prompt": 1}], ids=str)
def test_habits_are_typed_as_strictly_as_the_rest(changes: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameter):
        parse_chat_request(body(**changes))
