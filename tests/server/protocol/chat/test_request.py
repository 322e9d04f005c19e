"""Chat request bodies that are accepted, and their parsed fields."""

import json
from typing import Any

import pytest

from server.protocol.chat.request import (
    ImageReference,
    parse_chat_request,
)
from server.protocol.formats import (
    JsonObjectFormat,
    JsonSchema,
    JsonSchemaFormat,
    StructuredOutputs,
    TextFormat,
)
from tests.server.protocol.chat.bodies import (
    body,
    call,
    image,
    schema_format,
    text,
    tool,
)


def test_optional_fields_default_to_none() -> None:
    request = parse_chat_request(body())
    assert request.model == "m"
    assert request.images == []
    assert request.stop_strings == []
    assert request.token_limit is None
    assert request.include_usage is False
    assert (request.temperature, request.top_p, request.seed, request.stream) == (None,) * 4


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
def test_accepts(changes: dict[str, Any], expected: dict[str, Any]) -> None:
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
def test_accepts_message(message: dict[str, Any], expected: str) -> None:
    (parsed,) = parse_chat_request(body(messages=[message])).messages
    assert parsed.role == message["role"]
    assert parsed.text == expected


DETAILS = (None, "auto", "low", "high")


def test_images_are_in_order_with_the_path_of_their_field() -> None:
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [image("http://a"), text(), image("http://b", detail="high")]},
        {"role": "assistant", "content": [text("fine")]},
        {"role": "user", "content": [text(), image("data:,", detail=None, format="image/png")]},
    ]
    assert parse_chat_request(body(messages=messages)).images == [
        ImageReference("http://a", "messages[1].content[0].image_url.url"),
        ImageReference("http://b", "messages[1].content[2].image_url.url"),
        ImageReference("data:,", "messages[3].content[1].image_url.url"),
    ]


@pytest.mark.parametrize(
    ("detail", "low"), [({}, False), *(({"detail": d}, d == "low") for d in DETAILS)]
)
def test_low_detail(detail: dict[str, Any], low: bool) -> None:
    (reference,) = parse_chat_request(
        body(messages=[{"role": "user", "content": [image("http://a", **detail)]}])
    ).images
    assert reference.low_detail is low
