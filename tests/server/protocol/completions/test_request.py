"""Text completion request bodies: prompts, limits and contradictory fields."""

import json
from typing import Any

import pytest

from server.errors import InvalidValue, UnsupportedParameter
from server.protocol.completions.request import CompletionRequest, parse_completion_request


def parse(prompt: Any = "a", **fields: Any) -> CompletionRequest:
    """Return the request with a prompt and fields."""
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
def test_prompts_have_the_path_of_their_field(prompt: Any, prompts: list[tuple[Any, str]]) -> None:
    assert parse(prompt).prompts == prompts


def test_the_token_limit() -> None:
    assert parse().token_limit == parse(max_tokens=None).token_limit == 16
    assert parse(max_tokens=3).token_limit == 3
    assert parse(max_tokens=0, echo=True).is_scoring_only
    assert not parse(echo=True).is_scoring_only


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
def test_invalid_values(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        parse(**fields)
    assert raised.value.param == param


def test_best_of_must_equal_n() -> None:
    assert parse(best_of=3, n=3).best_of == 3
    assert parse(best_of=1).best_of == 1
    for fields in ({"best_of": 2}, {"best_of": 1, "n": 2}):
        with pytest.raises(UnsupportedParameter) as raised:
            parse(**fields)
        assert raised.value.param == "best_of"


@pytest.mark.parametrize("field", ["tools", "messages", "top_logprobs", "max_completion_tokens"])
def test_chat_fields_are_unsupported(field: str) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        parse(**{field: 1})
    assert raised.value.param == field
