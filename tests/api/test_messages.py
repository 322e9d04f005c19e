"""Messages as raw HTTP: images, streams, tools, counts, and errors."""

import base64
import json
from typing import Any

import httpx
import pytest

from server.protocol.messages.errors import MessagesErrorResponse
from server.protocol.messages.response import ResponseMessage
from tests.api.limits import MAX_IMAGES
from tests.api.pictures import circle_and_square, encoded
from tests.api.running import RunningServer, metric, wait_for_metric
from tests.server.messages.reading import read_events, rebuild_message

PATH = "/v1/messages"
COLOR = "What color is the circle?"
WEATHER = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def text(content: str) -> dict[str, Any]:
    """Return a text block."""
    return {"type": "text", "text": content}


def image(data: bytes = encoded(circle_and_square())) -> dict[str, Any]:
    """Return an image block."""
    source = {
        "type": "base64",
        "media_type": "image/png",
        "data": base64.b64encode(data).decode(),
    }
    return {"type": "image", "source": source}


def user(*blocks: Any) -> dict[str, Any]:
    """Return a user's message."""
    return {"role": "user", "content": list(blocks)}


def body(*messages: Any, **fields: Any) -> dict[str, Any]:
    """Return a request for the embedded model."""
    return {"model": "llava-tiny", "max_tokens": 64, "messages": list(messages), **fields}


def create(http: httpx.Client, *messages: Any, **fields: Any) -> dict[str, Any]:
    """Return a message."""
    response = http.post(PATH, json=body(*messages, **fields))
    assert response.status_code == 200, response.text
    message: dict[str, Any] = response.json()
    ResponseMessage.model_validate(message, extra="forbid")
    return message


def count(http: httpx.Client, *messages: Any, **fields: Any) -> int:
    """Return the number of tokens of a prompt."""
    request = body(*messages, **fields)
    response = http.post(f"{PATH}/count_tokens", json=request).raise_for_status()
    number: int = response.json()["input_tokens"]
    return number


def test_answers_about_an_image(http: httpx.Client) -> None:
    question = user(image(), text(COLOR))
    message = create(http, question)
    assert [block["text"] for block in message["content"]] == ["red"]
    assert message["usage"]["input_tokens"] == count(http, question) > 64


def test_a_stream_adds_up_to_the_message(http: httpx.Client) -> None:
    request = body(user(image(), text("Describe the image.")))
    complete = http.post(PATH, json=request).json()
    response = http.post(PATH, json=request | {"stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    streamed = rebuild_message(read_events(response.text))
    assert streamed.pop("id") != complete.pop("id")
    assert streamed == complete


def test_a_call_and_an_image_in_its_result(http: httpx.Client) -> None:
    question = user(text(COLOR))
    choice = {"type": "tool", "name": "get_weather"}
    called = create(http, question, tools=[WEATHER], tool_choice=choice, max_tokens=128)
    [call] = called["content"]
    assert called["stop_reason"] == "tool_use"
    assert call["input"]["city"] in ("Paris", "Rome")
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": [image(), text("so")]}
    history = (question, {"role": "assistant", "content": called["content"]}, user(result))
    assert create(http, *history)["content"]
    result["content"] = [text("so")]
    without_image = count(http, *history)
    result["content"] = [image(), text("so")]
    assert count(http, *history) > without_image + 60


def test_the_begin_of_an_answer_goes_on(http: httpx.Client) -> None:
    question = user(image(), text("Describe the image."))
    [complete] = create(http, question)["content"]
    begin, rest = complete["text"][:5], complete["text"][5:]
    [block] = create(http, question, {"role": "assistant", "content": begin})["content"]
    assert block["text"] == rest


def test_the_token_limit_cuts_a_call(http: httpx.Client) -> None:
    choice = {"type": "tool", "name": "get_weather"}
    fields = {"tools": [WEATHER], "tool_choice": choice, "max_tokens": 12}
    message = create(http, user(text(COLOR)), **fields)
    assert message["stop_reason"] == "max_tokens"
    response = http.post(PATH, json=body(user(text(COLOR)), **fields, stream=True))
    assert read_events(response.text)[-2]["delta"]["stop_reason"] == "max_tokens"


def test_the_context_is_full_before_the_limit(http: httpx.Client) -> None:
    tools = {"output_config": {"format": {"type": "json_schema", "schema": LONG_LIST}}}
    message = create(http, user(text("Count.")), max_tokens=100_000, **tools)
    assert message["stop_reason"] == "model_context_window_exceeded"


NOTHING = {"type": "nothing"}
LONG_LIST = {"type": "array", "items": {"enum": [0]}, "minItems": 4000}


BAD: dict[str, tuple[Any, int, str, str]] = {
    "malformed JSON": (b'{"model": ', 400, "invalid_request_error", "JSON"),
    "no limit": ({"model": "llava-tiny", "messages": []}, 400, "invalid_request_error", "messages"),
    "unknown model": (
        body(user(text("Hi")), model="gpt-4o"),
        404,
        "not_found_error",
        "gpt-4o",
    ),
    "a broken image": (
        body(user(text("a"), image(b"Hello"))),
        400,
        "invalid_request_error",
        "messages[0].content[1].source: ",
    ),
    "too many images": (
        body(user(*[image()] * (MAX_IMAGES + 1), text("What?"))),
        400,
        "invalid_request_error",
        f"messages[0].content[{MAX_IMAGES}].source: ",
    ),
    "a result of no call": (
        body(user({"type": "tool_result", "tool_use_id": "x", "content": "a"})),
        400,
        "invalid_request_error",
        "messages[0].content[0].tool_use_id: ",
    ),
    "too long": (body(user(text("word " * 100_000))), 400, "invalid_request_error", "messages: "),
    "a bad schema": (
        body(user(text("Hi")), tools=[{**WEATHER, "strict": True, "input_schema": NOTHING}]),
        400,
        "invalid_request_error",
        "tools[0].input_schema",
    ),
}


@pytest.mark.parametrize(("request_body", "status", "kind", "part"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("stream", [False, True])
def test_errors(
    http: httpx.Client, request_body: Any, status: int, kind: str, part: str, stream: bool
) -> None:
    if isinstance(request_body, dict):
        request_body = json.dumps(request_body | {"stream": stream}).encode()
    response = http.post(PATH, content=request_body, headers={"content-type": "application/json"})
    error = response.json()
    MessagesErrorResponse.model_validate(error, extra="forbid")
    assert (response.status_code, error["error"]["type"]) == (status, kind)
    assert part in error["error"]["message"]
    assert error["request_id"] == response.headers["request-id"]


def test_paths_and_methods(http: httpx.Client) -> None:
    for response, status in (
        (http.get(PATH), 405),
        (http.post(f"{PATH}/batches", json={}), 404),
        (http.post(f"{PATH}/count_tokens", json={}), 400),
    ):
        assert response.status_code == status
        MessagesErrorResponse.model_validate(response.json(), extra="forbid")


def test_a_disconnect_releases_the_permit(server: RunningServer, http: httpx.Client) -> None:
    running = "llava:num_requests_running"
    schema = {"output_config": {"format": {"type": "json_schema", "schema": LONG_LIST}}}
    request = body(user(text("Count.")), stream=True, **schema) | {"max_tokens": 2000}
    with http.stream("POST", PATH, json=request) as response:
        lines = response.iter_lines()
        assert next(lines) == "event: message_start"
        assert metric(server.url, running) == 1
    wait_for_metric(server.url, running, 0, limit_s=10)
