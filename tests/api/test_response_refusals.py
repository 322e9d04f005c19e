"""Errors of the Responses API: codes, fields, and paths of stored responses."""

import json
from typing import Any

import httpx
import openai
import pytest

from server.protocol.errors import ErrorResponse
from tests.api.limits import MAX_IMAGES
from tests.api.responses import (
    PATH,
    body,
    create_response,
    image,
    text,
    user,
)

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}


RESULT = {"type": "function_call_output", "call_id": "c9", "output": "rain"}


FORMAT = {"type": "json_schema", "name": "x", "schema": {"type": "nothing"}}


BAD: dict[str, tuple[Any, int, str, str | None]] = {
    "malformed JSON": (b'{"model": ', 400, "invalid_json", None),
    "no input": ({"model": "llava-tiny"}, 400, "invalid_value", "input"),
    "unknown model": (body("Hi") | {"model": "gpt-4o"}, 404, "model_not_found", "model"),
    "a chat's body": (
        {"model": "llava-tiny", "messages": [{"role": "user", "content": "Hi"}]},
        400,
        "invalid_value",
        "input",
    ),
    "an unknown field": (body("Hi", temprature=1), 400, "unsupported_parameter", "temprature"),
    "state": (
        body("Hi", previous_response_id="resp_1"),
        400,
        "unsupported_parameter",
        "previous_response_id",
    ),
    "a tool of OpenAI's": (
        body("Hi", tools=[{"type": "web_search"}]),
        400,
        "invalid_value",
        "tools[0].type",
    ),
    "no image": (
        body([user(text("a")), user(text("What?"), image(b"Hello"))]),
        400,
        "image_format_unsupported",
        "input[1].content[1].image_url",
    ),
    "a forbidden URL": (
        body([user(image("file:///etc/passwd"), text("What?"))], instructions="Be kind."),
        400,
        "image_url_forbidden",
        "input[0].content[0].image_url",
    ),
    "too many images": (
        body([user(*[image()] * (MAX_IMAGES + 1), text("What?"))]),
        400,
        "too_many_images",
        f"input[0].content[{MAX_IMAGES}].image_url",
    ),
    "nobody's turn": (
        body([{"role": "system", "content": "Hello"}]),
        400,
        "invalid_value",
        "input",
    ),
    "a result of no call": (
        body([user(text("Hi")), CALL, RESULT]),
        400,
        "invalid_value",
        "input[2].call_id",
    ),
    "a schema of nothing": (
        body("Hi", text={"format": FORMAT}),
        400,
        "invalid_value",
        "text.format.schema",
    ),
    "a token beyond the vocabulary": (
        body("Hi", stop_token_ids=[10**6]),
        400,
        "invalid_value",
        "stop_token_ids",
    ),
    "a prompt beyond the context": (
        body("circle " * 4000),
        400,
        "context_length_exceeded",
        "input",
    ),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", BAD)
def test_errors_name_code_and_field(http: httpx.Client, case: str, stream: bool) -> None:
    request, status, code, param = BAD[case]
    content = request if isinstance(request, bytes) else json.dumps(request | {"stream": stream})
    response = http.post(PATH, content=content)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    ErrorResponse.model_validate(response.json())
    error = response.json()["error"]
    assert (error["code"], error["param"]) == (code, param)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")],
)
def test_nothing_is_stored(http: httpx.Client, method: str, path: str) -> None:
    made = create_response(http, body("Hello", max_output_tokens=2, store=True))
    assert made["store"] is False
    response = http.request(method, f"{PATH}/{made['id']}{path}")
    assert response.status_code == 404
    error = ErrorResponse.model_validate(response.json()).error
    assert error.code == "not_found"
    assert "stores none" in error.message


def test_the_sdk_raises_openais_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**body("Hi", previous_response_id="resp_1"))
    assert caught.value.param == "previous_response_id"
    assert "keeps no state" in caught.value.message
