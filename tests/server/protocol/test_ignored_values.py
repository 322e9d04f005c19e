"""Null and the default of every property of OpenAI's API are accepted, by the SDK's own types."""

import json
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
from openai.types import completion_create_params as completion_params
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import response_create_params as response_params

from server.protocol.chat.request import parse_chat_request
from server.protocol.completions.request import parse_completion_request
from server.protocol.responses.request import parse_responses_request
from server.protocol.wire import RequestBody

Parse = Callable[[bytes], RequestBody]

SHARED: dict[str, Any] = {
    "frequency_penalty": 0,
    "metadata": {},
    "n": 1,
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "prompt_cache_retention": "in_memory",
    "service_tier": "auto",
    "store": True,
    "stream": False,
    "temperature": 1,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1,
}
# The properties' defaults in OpenAI's document, or values that mean the same.
CHAT: dict[str, Any] = SHARED | {
    "function_call": "none",
    "functions": [],
    "logprobs": False,
    "modalities": ["text"],
    "reasoning_effort": "medium",
    "response_format": {"type": "text"},
    "store": False,
    "verbosity": "medium",
}
COMPLETION: dict[str, Any] = SHARED | {
    "best_of": 1,
    "echo": False,
    "logprobs": 0,
    "max_tokens": 16,
    "prompt": "<|endoftext|>",
    "suffix": "",
}
RESPONSE: dict[str, Any] = SHARED | {
    "background": False,
    "include": [],
    "reasoning": {"effort": "medium", "summary": None, "generate_summary": None},
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "truncation": "disabled",
}
ENDPOINTS: dict[str, tuple[Parse, Any, dict[str, Any], dict[str, Any]]] = {
    "chat": (
        parse_chat_request,
        chat_params.CompletionCreateParamsNonStreaming,
        {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
        CHAT,
    ),
    "completions": (
        parse_completion_request,
        completion_params.CompletionCreateParamsNonStreaming,
        {"model": "m", "prompt": "hi"},
        COMPLETION,
    ),
    "responses": (
        parse_responses_request,
        response_params.ResponseCreateParamsNonStreaming,
        {"model": "m", "input": "hi"},
        RESPONSE,
    ),
}
# vLLM's fields, at its defaults.
VLLM: dict[str, Any] = {
    "add_generation_prompt": True,
    "allowed_token_ids": None,
    "bad_words": [],
    "cache_salt": None,
    "continue_final_message": False,
    "early_stopping": False,
    "include_reasoning": True,
    "include_stop_str_in_output": False,
    "length_penalty": 1.0,
    "mm_processor_kwargs": {},
    "priority": 0,
    "return_token_ids": False,
    "skip_special_tokens": True,
    "spaces_between_special_tokens": True,
    "truncate_prompt_tokens": None,
    "use_beam_search": False,
}


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        (endpoint, name)
        for endpoint, (_, params, required, _) in ENDPOINTS.items()
        for name in get_type_hints(params)
        if name not in required
    ],
)
def test_null_means_absent(endpoint: str, name: str) -> None:
    parse, _, required, _ = ENDPOINTS[endpoint]
    assert parse(json.dumps(required | {name: None}).encode()) == parse(
        json.dumps(required).encode()
    )


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        (endpoint, name)
        for endpoint, (*_, defaults) in ENDPOINTS.items()
        for name in [*defaults, *VLLM]
    ],
)
def test_defaults_are_accepted(endpoint: str, name: str) -> None:
    parse, _, required, defaults = ENDPOINTS[endpoint]
    parse(json.dumps(required | {name: (VLLM | defaults)[name]}).encode())


@pytest.mark.parametrize(
    "fields",
    [
        {"stream": True, "stream_options": {"include_usage": None, "include_obfuscation": None}},
        {"tools": [{"type": "function", "function": {"name": "f", "description": None}}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": None}}]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": None}}},
        {"messages": [{"role": "user", "content": "hi", "name": None, "tool_call_id": None}]},
    ],
    ids=str,
)
def test_nested_nulls_mean_absent(fields: dict[str, Any]) -> None:
    parse_chat_request(json.dumps(ENDPOINTS["chat"][2] | fields).encode())


def test_a_call_may_leave_its_type_null() -> None:
    call = {"id": "c", "type": None, "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "1", "tool_call_id": "c"},
    ]
    request = parse_chat_request(json.dumps({"model": "m", "messages": messages}).encode())
    assert request.messages[1].tool_calls is not None
    assert request.messages[1].tool_calls[0].type == "function"
