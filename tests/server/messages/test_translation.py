"""Messages requests as chat requests, and the fields that errors name."""

import json
from typing import Any

import pytest

from server.errors import ApiError, ImageCorrupt, InvalidValue, UnsupportedParameter
from server.messages.translation import (
    TranslatedMessagesRequest,
    parse_and_translate,
    parse_and_translate_token_count,
    translate_error,
)
from server.protocol.chat.messages import MAX_PARTS
from server.protocol.formats import JsonSchemaFormat

URL = "http://host/a.png"
HI = {"role": "user", "content": "Hi"}
TOOL = {"name": "f", "description": "Calls.", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Paris"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"}


def translate(*messages: Any, **fields: Any) -> TranslatedMessagesRequest:
    """Return a translated body."""
    body = {"model": "m", "max_tokens": 5, "messages": list(messages) or [HI], **fields}
    return parse_and_translate(json.dumps(body).encode())


def translate_messages(*messages: Any, **fields: Any) -> list[dict[str, Any]]:
    """Return the chat messages."""
    chat = translate(*messages, **fields).chat
    return [message.model_dump(exclude_none=True) for message in chat.messages]


def refuse(*messages: Any, **fields: Any) -> ApiError:
    """Return the error of a body."""
    with pytest.raises(ApiError) as caught:
        translate(*messages, **fields)
    return caught.value


def text(content: str) -> dict[str, Any]:
    """Return a text block."""
    return {"type": "text", "text": content}


def image(**source: Any) -> dict[str, Any]:
    """Return an image block."""
    return {"type": "image", "source": source or {"type": "url", "url": URL}}


def user(*blocks: Any) -> dict[str, Any]:
    """Return a user's message."""
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    """Return an assistant's message."""
    return {"role": "assistant", "content": list(blocks)}


def test_a_string_is_one_text() -> None:
    assert translate_messages() == [{"role": "user", "content": [text("Hi")]}]


@pytest.mark.parametrize("system", ["Be kind.", [text("Be kind.")]])
def test_the_system_text_comes_first(system: Any) -> None:
    assert translate_messages(system=system)[0] == {
        "role": "system",
        "content": [text("Be kind.")],
    }


def test_a_system_message_may_come_later() -> None:
    messages = translate_messages(HI, {"role": "system", "content": "Be brief."}, HI)
    assert [message["role"] for message in messages] == ["user", "system", "user"]


def test_images_become_urls() -> None:
    base64 = image(type="base64", media_type="image/png", data="AAAA")
    [message] = translate_messages(user(image(), base64, text("What?")))
    urls = [part["image_url"]["url"] for part in message["content"][:2]]
    assert urls == [URL, "data:image/png;base64,AAAA"]


def test_a_call_and_its_result() -> None:
    messages = translate_messages(
        HI,
        assistant({"type": "thinking", "thinking": "…", "signature": "s"}, text("So."), CALL),
        user(RESULT, text("And?")),
        tools=[TOOL],
    )
    _, called, result, question = messages
    [call] = called["tool_calls"]
    assert called["content"] == [text("So.")]
    assert (call["id"], call["function"]["name"]) == ("toolu_1", "f")
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
    assert result == {"role": "tool", "content": [text("rain")], "tool_call_id": "toolu_1"}
    assert question == user(text("And?"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, [""]),
        ("", [""]),
        ([], [""]),
        ("rain", ["rain"]),
        ([text("a"), text("b")], ["a", "b"]),
    ],
)
def test_contents_of_results(content: Any, expected: list[str]) -> None:
    messages = translate_messages(HI, assistant(CALL), user({**RESULT, "content": content}))
    assert [part["text"] for part in messages[-1]["content"]] == expected


def test_a_failed_call_is_said_to_have_failed() -> None:
    messages = translate_messages(HI, assistant(CALL), user({**RESULT, "is_error": True}))
    assert messages[-1]["content"] == [text("Error:"), text("rain")]


def test_consecutive_messages_of_the_assistant_are_one() -> None:
    messages = translate_messages(HI, assistant(text("a")), assistant(text("b"), CALL), HI)
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"] == [text("a"), text("b")]
    assert len(messages[1]["tool_calls"]) == 1


def test_parts_of_joined_messages_are_bounded() -> None:
    many = [assistant(*[text("a")] * MAX_PARTS)] * 8
    with pytest.raises(InvalidValue, match=str(MAX_PARTS)):
        translate_messages(HI, *many)


@pytest.mark.parametrize("blocks", [[], [text("")], [{"type": "redacted_thinking", "data": "x"}]])
def test_an_empty_answer_is_left_out(blocks: list[Any]) -> None:
    assert [message["role"] for message in translate_messages(HI, assistant(*blocks))] == ["user"]


def test_the_begin_of_an_answer_stays_last() -> None:
    assert translate_messages(HI, assistant(text("It is")))[-1]["role"] == "assistant"


def test_tools() -> None:
    [tool] = translate(tools=[{**TOOL, "type": "custom", "cache_control": {}}]).chat.tools or []
    assert tool.model_dump(exclude_none=True) == {
        "type": "function",
        "function": {"name": "f", "description": "Calls.", "parameters": {"type": "object"}},
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("auto", "auto"), ("any", "required"), ("none", "none")],
)
@pytest.mark.parametrize("disable", [None, False, True])
def test_tool_choices(choice: str, expected: str, disable: bool | None) -> None:
    fields = {"type": choice, "disable_parallel_tool_use": disable}
    chat = translate(tools=[TOOL], tool_choice=fields).chat
    assert (chat.tool_choice, chat.parallel_tool_calls) == (expected, not disable)


def test_a_named_tool() -> None:
    chat = translate(tools=[TOOL], tool_choice={"type": "tool", "name": "f"}).chat
    assert chat.model_dump()["tool_choice"]["function"] == {"name": "f"}


def test_sampling_and_stop_sequences() -> None:
    stop = [f"s{number}" for number in range(20)]
    chat = translate(temperature=0.5, top_p=0.9, top_k=3, stop_sequences=stop, stream=True).chat
    assert (chat.temperature, chat.top_p, chat.top_k) == (0.5, 0.9, 3)
    assert (chat.token_limit, chat.stop_strings, chat.stream) == (5, stop, True)


def test_an_output_format_is_a_schema() -> None:
    schema = {"type": "object", "properties": {}}
    config = {"format": {"type": "json_schema", "schema": schema}, "effort": "high"}
    chat = translate(output_config=config).chat
    assert isinstance(chat.response_format, JsonSchemaFormat)
    assert chat.response_format.json_schema.schema_ == schema


def test_null_means_absent() -> None:
    names = ("system", "tools", "tool_choice", "stop_sequences", "temperature", "top_p", "top_k")
    more = ("stream", "thinking", "output_config", "metadata", "service_tier", "container")
    assert translate(**dict.fromkeys((*names, *more))).chat == translate().chat


def test_fields_that_change_nothing() -> None:
    cached = {"cache_control": {"type": "ephemeral"}}
    fields = {"metadata": {"user_id": "u"}, "service_tier": "auto", "mcp_servers": []}
    message = user({**text("Hi"), **cached})
    translated = translate(message, **fields, **cached, thinking={"type": "disabled"})
    assert translated.chat == translate(user(text("Hi"))).chat


def test_counting_needs_no_limit_and_takes_any() -> None:
    body = {"model": "m", "messages": [HI]}
    for more in ({}, {"max_tokens": 9, "temperature": 1, "stream": True}):
        chat = parse_and_translate_token_count(json.dumps(body | more).encode()).chat
        assert chat.messages == translate().chat.messages


BLOCK = "messages[0].content[0]"
BAD: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "no limit": ([], {"max_tokens": None}, "max_tokens"),
    "a limit of nothing": ([], {"max_tokens": 0}, "max_tokens"),
    "no messages": ([], {"messages": []}, "messages"),
    "no content": ([user()], {}, "messages[0].content"),
    "a role": ([{"role": "tool", "content": "Hi"}], {}, "messages[0]"),
    "a document": ([user({"type": "document", "source": {}})], {}, f"{BLOCK}.type"),
    "a block of no kind": ([user({"type": "video"})], {}, BLOCK),
    "an image of the assistant": ([assistant(image())], {}, BLOCK),
    "a call of the user": ([user(CALL)], {}, BLOCK),
    "a file": ([user(image(type="file", file_id="f"))], {}, f"{BLOCK}.source"),
    "a media type": (
        [user(image(type="base64", media_type="image/png,x", data="AAAA"))],
        {},
        f"{BLOCK}.source.media_type",
    ),
    "thinking": ([], {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking.type"),
    "effort": ([], {"output_config": {"effort": "max"}}, "output_config.effort"),
    "a server's tool": (
        [],
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        "tools[0].type",
    ),
    "a choice without tools": ([], {"tool_choice": {"type": "any"}}, "tool_choice"),
    "a tool of no list": (
        [],
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}},
        "tool_choice",
    ),
    "heat": ([], {"temperature": 1.5}, "temperature"),
    "calls": ([assistant(*[CALL] * 129)], {}, "messages[0].content"),
}


@pytest.mark.parametrize(("messages", "fields", "param"), BAD.values(), ids=BAD)
def test_refusals_name_the_field(messages: list[Any], fields: dict[str, Any], param: str) -> None:
    error = refuse(*messages, **fields)
    assert isinstance(error, InvalidValue)
    assert error.param == param


def test_an_unknown_field_is_refused() -> None:
    error = refuse(temprature=1)
    assert (type(error), error.param) == (UnsupportedParameter, "temprature")


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ("messages[0].content[0].text", "system.text"),
        ("messages[1].content[1].image_url.url", "messages[0].content[1].source"),
        ("messages[2].content[0].text", "messages[1].content[1].text"),
        ("messages[2].tool_calls[0].function.name", "messages[1].content"),
        ("messages[3].tool_call_id", "messages[2].content[0].tool_use_id"),
        ("messages[3].content[0].text", "messages[2].content[0].content[0].text"),
        ("messages", "messages"),
        ("tools[0].function.parameters", "tools[0].input_schema"),
        ("tools[2].function.name", "tools[2].name"),
        ("response_format.json_schema.schema", "output_config.format.schema"),
        ("model", "model"),
        (None, None),
    ],
)
def test_errors_name_the_request_s_own_fields(param: str | None, expected: str | None) -> None:
    translated = translate(
        user(text("Look."), image()),
        assistant({"type": "thinking"}, text("So."), CALL),
        user({**RESULT, "content": [text("rain")]}),
        system="Be kind.",
    )
    error = translate_error(ImageCorrupt(f"Bad ('{param}').", param), translated.origins)
    assert (type(error), error.param) == (ImageCorrupt, expected)
    assert error.message == f"Bad ('{expected}')."
