"""Unknown fields at any depth are refused or ignored; what client libraries add is accepted."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessage, ChatCompletionMessageFunctionToolCall
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
)
from pydantic import BaseModel

from server.errors import UnsupportedParameter
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from server.protocol.completions.request import CompletionRequest, parse_completion_request
from server.protocol.ignored_values import IGNORED_VALUES
from server.protocol.messages.request import (
    MessagesRequest,
    TokenCountRequest,
    parse_messages_request,
    parse_token_count_request,
)
from server.protocol.policy import RequestPolicy
from server.protocol.responses.request import ResponsesRequest, parse_responses_request
from server.protocol.tokenize import (
    DetokenizeRequest,
    TokenizeChatRequest,
    TokenizeTextRequest,
    parse_detokenize_request,
    parse_tokenize_request,
)
from server.protocol.wire import RequestBody

IGNORING = RequestPolicy(ignore_unknown=True)
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f"}}


def message(**fields: Any) -> dict[str, Any]:
    """Return a conversation whose first message has these fields."""
    return {"messages": [{"role": "user", "content": "hi"} | fields]}


def chat(**fields: Any) -> bytes:
    """Return a chat request."""
    return json.dumps({"model": "m"} | message() | fields).encode()


UNKNOWN: list[tuple[dict[str, Any], str]] = [
    ({"foo": 1}, "foo"),
    (message(foo=1), "messages[0].foo"),
    (message(content=[{"type": "text", "text": "a", "foo": 1}]), "messages[0].content[0].foo"),
    (
        message(content=[{"type": "image_url", "image_url": {"url": "data:,", "foo": 1}}]),
        "messages[0].content[0].image_url.foo",
    ),
    ({"tools": [TOOL | {"foo": 1}]}, "tools[0].foo"),
    ({"tools": [TOOL | {"function": {"name": "f", "foo": 1}}]}, "tools[0].function.foo"),
    ({"stream": True, "stream_options": {"foo": 1}}, "stream_options.foo"),
    ({"response_format": {"type": "json_object", "strict": True}}, "response_format.strict"),
    ({"structured_outputs": {"regex": "a", "foo": 1}}, "structured_outputs.foo"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "foo": 1}}},
        "response_format.json_schema.foo",
    ),
]


@pytest.mark.parametrize(("fields", "path"), UNKNOWN, ids=[path for _, path in UNKNOWN])
def test_unknown_fields_are_refused_by_their_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        parse_chat_request(chat(**fields))
    assert caught.value.param == path
    assert f"'{path}'" in caught.value.message


@pytest.mark.parametrize(("fields", "path"), UNKNOWN, ids=[path for _, path in UNKNOWN])
def test_unknown_fields_are_ignored_where_the_operator_says_so(
    fields: dict[str, Any], path: str
) -> None:
    request = parse_chat_request(chat(**fields), IGNORING)
    assert request.ignored_parameters == (path,)
    for tool in request.tools or ():
        assert "foo" not in json.dumps(tool.model_dump())


def test_values_known_to_change_the_answer_are_refused_all_the_same() -> None:
    with pytest.raises(UnsupportedParameter):
        parse_chat_request(chat(prediction={"type": "content", "content": "a"}), IGNORING)


ECHOED: list[dict[str, Any]] = [
    {"role": "assistant", "content": "a", "refusal": None, "annotations": [], "audio": None},
    {"role": "assistant", "content": "a", "function_call": None, "reasoning_content": "hm"},
    {"role": "assistant", "content": None, "tool_calls": [CALL | {"index": 0}]},
    {"role": "assistant", "content": "a", "parsed": None, "id": "msg_1", "status": "completed"},
    {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "x"}}]},
    {"role": "user", "content": "a", "name": "Ann"},
]


@pytest.mark.parametrize("echoed", ECHOED, ids=str)
def test_what_clients_send_back_is_accepted(echoed: dict[str, Any]) -> None:
    request = parse_chat_request(chat(messages=[echoed, {"role": "user", "content": "hi"}]))
    assert request.ignored_parameters == ()


def test_output_items_can_be_sent_back() -> None:
    part = {"type": "output_text", "text": "a", "annotations": [], "logprobs": []}
    items = [
        {"type": "message", "role": "assistant", "id": "m", "status": "completed",
         "content": [part], "phase": None},
        {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "x"},
        {"type": "function_call", "id": "f", "call_id": "c", "name": "f", "arguments": "{}",
         "status": "completed"},
        {"type": "function_call_output", "id": "o", "call_id": "c", "output": "1",
         "status": "completed"},
    ]  # fmt: skip
    parse_responses_request(json.dumps({"model": "m", "input": items}).encode())


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (ChatCompletionMessage, "messages[]"),
        (ChatCompletionMessageFunctionToolCall, "messages[].tool_calls[]"),
        (ResponseOutputMessage, "input[]"),
        (ResponseFunctionToolCall, "input[]"),
        (ResponseReasoningItem, "input[]"),
        (ResponseOutputText, "input[].content[]"),
    ],
)
def test_all_fields_of_the_sdks_answers_are_known(kind: type[BaseModel], place: str) -> None:
    ours = {"id", "type", "role", "content", "text", "tool_calls", "function"}
    ours |= {"call_id", "name", "arguments"}
    assert {name for name in kind.model_fields if f"{place}.{name}" not in IGNORED_VALUES} <= ours


def test_nulls_within_ignored_values_are_absent() -> None:
    parse_chat_request(chat(reasoning={"effort": "medium", "summary": None}))
    parse_chat_request(chat(reasoning={"effort": None}))


def test_one_model_needs_no_name() -> None:
    body = json.dumps(message()).encode()
    assert parse_chat_request(body, RequestPolicy(default_model="a")).model == "a"


REQUESTS: list[tuple[type[RequestBody], Any, dict[str, Any]]] = [
    (ChatCompletionRequest, parse_chat_request, message()),
    (CompletionRequest, parse_completion_request, {"prompt": "a"}),
    (ResponsesRequest, parse_responses_request, {"input": "a"}),
    (MessagesRequest, parse_messages_request, message() | {"max_tokens": 1}),
    (TokenCountRequest, parse_token_count_request, message()),
    (TokenizeChatRequest, parse_tokenize_request, message()),
    (TokenizeTextRequest, parse_tokenize_request, {"prompt": "a"}),
    (DetokenizeRequest, parse_detokenize_request, {"tokens": []}),
]
NAMES = {name for kind, _, _ in REQUESTS for name in kind.model_fields} | {"foo"}


@pytest.mark.parametrize(
    ("kind", "parse", "fields"), REQUESTS, ids=[kind.__name__ for kind, *_ in REQUESTS]
)
def test_null_is_absent_whatever_the_field(kind: Any, parse: Any, fields: dict[str, Any]) -> None:
    body = json.dumps(dict.fromkeys(NAMES) | {"model": "m"} | fields).encode()
    assert parse(body) == kind.model_validate({"model": "m"} | fields)
    assert parse(body, IGNORING).ignored_parameters == ()


@pytest.mark.parametrize("policy", [RequestPolicy(), RequestPolicy(trust_chat_template=True)])
def test_templates_of_requests_need_trust(policy: RequestPolicy) -> None:
    for fields, param in (
        ({"chat_template": "a"}, "chat_template"),
        ({"chat_template_kwargs": {"chat_template": "a"}}, "chat_template_kwargs.chat_template"),
    ):
        if policy.trust_chat_template and param == "chat_template":
            parse_chat_request(chat(**fields), policy)
            continue
        remedy = "as the field" if policy.trust_chat_template else "--trust-request-chat-template"
        with pytest.raises(UnsupportedParameter, match=remedy) as caught:
            parse_chat_request(chat(**fields), policy)
        assert caught.value.param == param
