"""Bodies of text completions: prompts in all forms, limits, what contradicts itself."""

import json
from typing import Any

import pytest

from server.errors import InvalidValue, UnsupportedParameter
from server.protocol.completions.request import CompletionRequest, parse_completion_request
from server.protocol.tokenize import (
    TokenizeChatRequest,
    TokenizeTextRequest,
    parse_tokenize_request,
)


def parsed(prompt: Any = "a", **fields: Any) -> CompletionRequest:
    """Return the request of a body."""
    body = {"model": "m", "prompt": prompt, **fields}
    return parse_completion_request(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", [("a", "prompt")]),
        ("", [("", "prompt")]),
        (["a", ""], [("a", "prompt[0]"), ("", "prompt[1]")]),
        ([7, 8], [([7, 8], "prompt")]),
        ([[7], [8, 9]], [([7], "prompt[0]"), ([8, 9], "prompt[1]")]),
    ],
)
def test_prompts_know_their_fields(prompt: Any, prompts: list[tuple[Any, str]]) -> None:
    assert parsed(prompt).prompts == prompts


def test_the_token_limit() -> None:
    assert parsed().token_limit == parsed(max_tokens=None).token_limit == 16
    assert parsed(max_tokens=3).token_limit == 3
    assert parsed(max_tokens=0, echo=True).is_scoring_only
    assert not parsed(echo=True).is_scoring_only


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 0, "echo": True, "min_tokens": 1}, "min_tokens"),
        ({"min_tokens": 17}, "min_tokens"),
        ({"prompt": ["a"] * 43, "n": 3}, "n"),
        ({"n": 129}, "n"),
        ({"best_of": 0}, "best_of"),
        ({"echo": 1}, "echo"),
        ({"logprobs": -1}, "logprobs"),
        ({"stream_options": {}}, "stream_options"),
        (
            {"structured_outputs": {"regex": "a"}, "response_format": {"type": "json_object"}},
            "structured_outputs",
        ),
    ],
)
def test_what_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        parsed(**fields)
    assert raised.value.param == param


def test_a_best_of_that_asks_for_more() -> None:
    assert parsed(best_of=3, n=3).best_of == 3
    assert parsed(best_of=1).best_of == 1
    for fields in ({"best_of": 2}, {"best_of": 1, "n": 2}):
        with pytest.raises(UnsupportedParameter) as raised:
            parsed(**fields)
        assert raised.value.param == "best_of"


@pytest.mark.parametrize("field", ["tools", "messages", "top_logprobs", "max_completion_tokens"])
def test_fields_of_chat_are_none_of_text(field: str) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        parsed(**{field: 1})
    assert raised.value.param == field


def test_what_is_to_be_tokenised_is_told_by_its_field() -> None:
    text = parse_tokenize_request(b'{"prompt": "a"}')
    assert isinstance(text, TokenizeTextRequest)
    assert text.add_special_tokens
    body = {"messages": [{"role": "user", "content": "a"}], "add_generation_prompt": True}
    chat = parse_tokenize_request(json.dumps(body).encode())
    assert isinstance(chat, TokenizeChatRequest)
    assert chat.to_chat_request("m").model == "m"
