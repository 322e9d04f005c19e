"""Ignored and unknown fields of request bodies, and the paths of fields in errors."""

from typing import Any

import pytest

from server.errors import UnsupportedParameter
from server.protocol.chat.request import parse_chat_request
from server.protocol.wire import format_field_path
from tests.server.protocol.chat.bodies import (
    SECRET,
    body,
    parse_refused,
)


@pytest.mark.parametrize("name", ["temprature", "frequency-penalty", "guided", ""])
@pytest.mark.parametrize("value", [SECRET, False, 0])
def test_refuses_unknown_fields(name: str, value: Any) -> None:
    error = parse_refused(body(**{name: value}))
    assert type(error) is UnsupportedParameter
    assert error.param == name
    assert SECRET not in repr(error.args)


def test_an_invalid_value_is_reported_before_an_unknown_field() -> None:
    assert parse_refused(body(unknown=1, max_tokens=0)).param == "max_tokens"


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
def test_format_field_path(location: tuple[int | str, ...], path: str | None) -> None:
    assert format_field_path(location) == path


@pytest.mark.parametrize("changes", [{"echo": 0}, {"best_of": True}], ids=str)
def test_ignored_values_are_compared_with_their_type(changes: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameter):
        parse_chat_request(body(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"messages": [1]}, "Input should be an object ('messages[0]')."),
        ({"messages": {}}, "Input should be a valid array ('messages')."),
        ({"stream_options": []}, "Input should be an object ('stream_options')."),
        ({"chat_template_kwargs": 1}, "Input should be an object ('chat_template_kwargs')."),
    ],
)
def test_messages_speak_of_json(changes: dict[str, Any], message: str) -> None:
    assert parse_refused(body(**changes)).message == message
