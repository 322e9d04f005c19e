"""Answers, chunks, events and errors are what OpenAI's document says, to the field."""

import json
from typing import Any, Final

import httpx
import pytest
from pydantic import ValidationError

from tests.api.pictures import body, green_triangle, image_part, text_part, user
from tests.api.schemas import check

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "shape": {"type": "string", "enum": ["circle", "square", "triangle", "star"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["shape", "count"],
    "additionalProperties": False,
}
FUNCTION: Final[dict[str, Any]] = {
    "name": "report_shape",
    "description": "Report.",
    "parameters": SCHEMA,
}
TOOL: Final[dict[str, Any]] = {"type": "function", "function": FUNCTION}
NAMED: Final[dict[str, Any]] = {"type": "function", "function": {"name": "report_shape"}}
CALL: Final[dict[str, Any]] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "report_shape", "arguments": '{"shape": "star", "count": 1}'},
}
SHOWN: Final[dict[str, Any]] = user(image_part(green_triangle()), text_part("Describe the image."))
JSON_SCHEMA: Final[dict[str, Any]] = {
    "type": "json_schema",
    "json_schema": {"name": "shape", "schema": SCHEMA},
}

CHATS: Final[dict[str, dict[str, Any]]] = {
    "plain": body(user("Hello")),
    "image": body(SHOWN),
    "length": body(user("Hello"), max_tokens=2),
    "stop": body(user("Hello"), stop="image"),
    "several": body(user("Hello"), n=2),
    "logprobs": body(user("Hello"), logprobs=True, top_logprobs=2),
    "tool_named": body(user("Report."), tools=[TOOL], tool_choice=NAMED),
    "tool_required": body(user("Report."), tools=[TOOL], tool_choice="required"),
    "tool_auto": body(user("Hello"), tools=[TOOL]),
    "after_a_call": body(
        user("Report."),
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        tools=[TOOL],
    ),
    "json_schema": body(user("Report."), response_format=JSON_SCHEMA),
    "json_object": body(user("Report."), response_format={"type": "json_object"}, max_tokens=30),
}
COMPLETIONS: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "several": {"n": 2},
    "prompts": {"prompt": ["Hello", "Hi"]},
    "logprobs": {"logprobs": 2},
    "echo": {"echo": True},
}
RESPONSE_IMAGE: Final = SHOWN["content"][0]["image_url"]["url"]
RESPONSE_TOOL: Final = {"type": "function", "strict": True, **FUNCTION}
RESPONSES: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "instructions": {"instructions": "Be kind."},
    "length": {"max_output_tokens": 16, "input": "What can you do?"},
    "image": {
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": RESPONSE_IMAGE, "detail": "auto"},
                    {"type": "input_text", "text": "Describe the image."},
                ],
            }
        ]
    },
    "tool": {"tools": [RESPONSE_TOOL], "tool_choice": "required"},
    "tool_named": {
        "tools": [RESPONSE_TOOL],
        "tool_choice": {"type": "function", "name": "report_shape"},
    },
    "json_schema": {"text": {"format": {"type": "json_schema", "name": "shape", "schema": SCHEMA}}},
    "metadata": {"metadata": {"a": "b"}, "store": False, "temperature": 0.5, "top_p": 0.9},
}


def completion(name: str) -> dict[str, Any]:
    return {"model": "llava-tiny", "prompt": "Hello", "max_tokens": 5, **COMPLETIONS[name]}


def response(name: str) -> dict[str, Any]:
    return {"model": "llava-tiny", "input": "Hello", "max_output_tokens": 128, **RESPONSES[name]}


def answered(http: httpx.Client, path: str, request: dict[str, Any]) -> Any:
    response = http.post(path, json=request)
    assert response.status_code == 200, response.text
    return response.json()


def events(http: httpx.Client, path: str, request: dict[str, Any]) -> list[dict[str, str]]:
    """Return the fields of each event of a stream."""
    response = http.post(path, json=request | {"stream": True})
    assert response.status_code == 200, response.text
    assert response.text.endswith("\n\n")
    return [
        dict(line.split(": ", 1) for line in event.splitlines())
        for event in response.text.removesuffix("\n\n").split("\n\n")
    ]


def chunks(http: httpx.Client, path: str, request: dict[str, Any]) -> list[Any]:
    """Return the data of a stream that `[DONE]` ends."""
    options = {"stream_options": {"include_usage": True}}
    *parts, done = [event["data"] for event in events(http, path, request | options)]
    assert done == "[DONE]"
    return [json.loads(part) for part in parts]


@pytest.mark.parametrize("name", CHATS)
def test_chat(http: httpx.Client, name: str) -> None:
    check("chat.completion", answered(http, "/v1/chat/completions", CHATS[name]))


@pytest.mark.parametrize("name", CHATS)
def test_chat_streamed(http: httpx.Client, name: str) -> None:
    found = chunks(http, "/v1/chat/completions", CHATS[name])
    for chunk in found:
        check("chat.completion.chunk", chunk)
    assert [bool(chunk.get("usage")) for chunk in found] == [False] * (len(found) - 1) + [True]
    ended = [c["index"] for chunk in found for c in chunk["choices"] if c["finish_reason"]]
    assert sorted(ended) == [*range(CHATS[name].get("n", 1))]


@pytest.mark.parametrize("name", COMPLETIONS)
def test_completion(http: httpx.Client, name: str) -> None:
    check("text_completion", answered(http, "/v1/completions", completion(name)))


@pytest.mark.parametrize("name", COMPLETIONS)
def test_completion_streamed(http: httpx.Client, name: str) -> None:
    for chunk in chunks(http, "/v1/completions", completion(name)):
        # OpenAI's document has one type for both and requires the reason, which only the last
        # chunk of a choice can know; OpenAI's API sends null before.
        known = [
            choice | {"finish_reason": choice["finish_reason"] or "stop"}
            for choice in chunk["choices"]
        ]
        # The same holds for usage with `include_usage`: null in all chunks but the last.
        usage = {"usage": chunk["usage"]} if chunk.get("usage") else {}
        rest = {key: value for key, value in chunk.items() if key != "usage"}
        check("text_completion", rest | {"choices": known} | usage)


@pytest.mark.parametrize("name", RESPONSES)
def test_response(http: httpx.Client, name: str) -> None:
    check("response", answered(http, "/v1/responses", response(name)))


@pytest.mark.parametrize("name", RESPONSES)
def test_response_streamed(http: httpx.Client, name: str) -> None:
    found = events(http, "/v1/responses", response(name))
    values = [check("response.event", json.loads(event["data"])) for event in found]
    assert [value.type for value in values] == [event["event"] for event in found]
    assert [value.sequence_number for value in values] == [*range(len(values))]
    assert values[-1].type in ("response.completed", "response.incomplete")


def test_models(http: httpx.Client) -> None:
    listed = http.get("/v1/models").json()
    assert listed["object"] == "list"
    check("list", listed)
    for model in listed["data"]:
        check("model", http.get(f"/v1/models/{model['id']}").json())


@pytest.mark.parametrize(
    ("method", "path", "request_body", "status"),
    [
        ("POST", "/v1/chat/completions", {"model": "nothing", "messages": [user("Hi")]}, 404),
        ("POST", "/v1/chat/completions", body(user("Hi"), temperature=9), 400),
        ("POST", "/v1/chat/completions", "no object", 400),
        ("GET", "/v1/models/nothing", None, 404),
        ("GET", "/v1/nothing", None, 404),
        ("GET", "/v1/chat/completions", None, 405),
        ("POST", "/v1/completions", {"model": "nothing", "prompt": "Hi"}, 404),
        ("POST", "/v1/responses", {"model": "nothing", "input": "Hi"}, 404),
    ],
)
def test_error(http: httpx.Client, method: str, path: str, request_body: Any, status: int) -> None:
    response = http.request(method, path, json=request_body)
    assert response.status_code == status
    assert set(response.json()) == {"error"}
    check("error", response.json()["error"])


MESSAGE: Final[dict[str, Any]] = {"role": "assistant", "content": "1", "refusal": None}
CHOICE: Final[dict[str, Any]] = {
    "index": 0,
    "message": MESSAGE,
    "logprobs": None,
    "finish_reason": "stop",
}
ANSWER: Final[dict[str, Any]] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "llava-tiny",
    "choices": [CHOICE],
}


def choice_without(name: str) -> dict[str, Any]:
    return {"choices": [{key: value for key, value in CHOICE.items() if key != name}]}


def test_what_is_right_passes() -> None:
    assert check("chat.completion", ANSWER).choices[0].message.content == "1"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"system_fingerprint": None}, "system_fingerprint is null"),
        ({"surprise": 1}, "surprise is not in OpenAI's ChatCompletion"),
        ({"choices": [CHOICE | {"surprise": 1}]}, r"choices\[0\].surprise is not in"),
        (choice_without("logprobs"), r"choices\[0\].logprobs is missing"),
        (
            {"choices": [CHOICE | {"message": {"role": "assistant", "content": "1"}}]},
            "message.refusal is missing",
        ),
    ],
)
def test_faults_are_found(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check("chat.completion", ANSWER | change)


@pytest.mark.parametrize("change", [choice_without("index"), {"created": "1"}, {"object": "chat"}])
def test_wrong_types_are_found(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check("chat.completion", ANSWER | change)
