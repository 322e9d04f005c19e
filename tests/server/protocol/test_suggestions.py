"""A misspelt field gets the name that was probably meant."""

import json
from typing import Any

import pytest

from server.errors import InvalidValue, UnsupportedParameter
from server.protocol.chat.request import parse_chat_request
from server.protocol.suggestions import find_near

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def refuse(**changes: Any) -> str:
    """Return what is said of the chat with some fields changed, those that are `...` removed."""
    body = {name: value for name, value in (CHAT | changes).items() if value is not ...}
    with pytest.raises((UnsupportedParameter, InvalidValue)) as raised:
        parse_chat_request(json.dumps(body).encode())
    return raised.value.message


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("max_token", "max_tokens"),
        ("temprature", "temperature"),
        ("topP", "top_p"),
        ("MAX_TOKENS", "max_tokens"),
        ("foo.max_tokens", "max_tokens"),
        ("stream_option", "stream_options"),
        ("service_teir", "service_tier"),  # which is accepted, and changes nothing
    ],
)
def test_the_nearest_field_is_named(field: str, meant: str) -> None:
    said = refuse(**{field: 1})
    assert said == f"Unknown or unsupported parameter: '{field}'. Did you mean '{meant}'?"


@pytest.mark.parametrize("field", ["num_predict", "prompts", "x" * 90])
def test_nothing_is_named_where_nothing_is_near(field: str) -> None:
    assert refuse(**{field: 1}) == f"Unknown or unsupported parameter: '{field}'."


def test_the_nearest_field_is_named_with_its_path() -> None:
    said = refuse(stream=True, stream_options={"include_usages": True})
    assert said.endswith(
        "'stream_options.include_usages'. Did you mean 'stream_options.include_usage'?"
    )
    message = {"role": "user", "content": [{"type": "text", "text": "Hi", "texts": "Hi"}]}
    assert refuse(messages=[message]).endswith("Did you mean 'messages[0].content[0].text'?")


def test_a_missing_field_may_be_there_misspelt() -> None:
    said = refuse(messages=..., messagess=CHAT["messages"])
    assert said == "Field required ('messages'). Is 'messagess' misspelt?"
    assert refuse(messages=...) == "Field required ('messages')."
    many = {f"{'x' * 9000}{number}": 1 for number in range(200)}
    assert refuse(messages=..., **many) == "Field required ('messages')."


def test_long_names_are_not_compared() -> None:
    assert find_near("a" * 49, ["a" * 48]) is None
    assert find_near("a" * 48, ["a" * 49]) is None
