"""Pictures as clients send them: without words, from tools, in other APIs' parts, as base64."""

import base64
import re
from typing import Any

import httpx
import pytest

from server.images.decode.heif import HAS_HEIF
from tests.api.pictures import (
    body,
    circle_and_square,
    data_url,
    encoded,
    image_part,
    text_part,
    user,
)
from tests.heics import HEICS

IMAGE_TOKENS = 64
PICTURE = encoded(circle_and_square())
URL = data_url(PICTURE)
BASE64 = base64.b64encode(PICTURE).decode()
QUESTION = text_part("What color is the circle?")


def ask(http: httpx.Client, *messages: Any) -> dict[str, Any]:
    response = http.post("/v1/chat/completions", json=body(*messages, max_tokens=16))
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def content(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])


def test_a_picture_without_words(http: httpx.Client) -> None:
    alone = [user(image_part(PICTURE))]
    earlier = [*alone, {"role": "assistant", "content": "A circle."}, user(QUESTION)]
    answers = [ask(http, *messages) for messages in (alone, earlier)]
    for answer in answers:
        assert answer["usage"]["prompt_tokens_details"]["image_tokens"] == IMAGE_TOKENS
    assert content(answers[1]) == "red"
    items = [{"role": "user", "content": [{"type": "input_image", "image_url": URL}]}]
    response = http.post("/v1/responses", json={"model": "llava-tiny", "input": items})
    assert response.status_code == 200, response.text


def test_a_picture_from_a_tool(http: httpx.Client) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages = [
        user("What color is the circle?"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [image_part(PICTURE), text_part("Here.")],
        },
    ]
    answer = ask(http, *messages)
    assert answer["usage"]["prompt_tokens_details"]["image_tokens"] == IMAGE_TOKENS
    tokens = http.post("/tokenize", json={"messages": messages}).json()
    assert tokens["count"] == answer["usage"]["prompt_tokens"]


def test_a_picture_from_a_function_in_responses(http: httpx.Client) -> None:
    def respond(url: str) -> httpx.Response:
        output = [
            {"type": "input_text", "text": "Here."},
            {"type": "input_image", "image_url": url},
        ]
        items = [
            {"role": "user", "content": "What color is the circle?"},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": output},
        ]
        return http.post("/v1/responses", json={"model": "llava-tiny", "input": items})

    response = respond(URL)
    assert response.status_code == 200, response.text
    assert response.json()["usage"]["input_tokens_details"]["image_tokens"] == IMAGE_TOKENS
    error = respond("data:image/png;base64,!").json()["error"]
    assert error["param"] == "input[2].output[1].image_url"


SPELLINGS: dict[str, dict[str, Any]] = {
    "a string": {"type": "image_url", "image_url": URL},
    "input_image": {"type": "input_image", "image_url": URL, "detail": "original"},
    "image": {"type": "image", "image": BASE64},
    "MCP": {"type": "image", "data": BASE64, "mimeType": "image/png"},
    "Anthropic": {"type": "image", "source": {"type": "base64", "data": BASE64}},
    "lines": {"type": "image", "url": "DATA:;base64," + "\r\n".join(re.findall(".{1,76}", BASE64))},
}


@pytest.mark.parametrize("part", SPELLINGS.values(), ids=SPELLINGS)
def test_spellings(part: dict[str, Any], http: httpx.Client) -> None:
    assert content(ask(http, user(part, QUESTION))) == "red"
    tokens = http.post("/tokenize", json={"messages": [user(part, QUESTION)]})
    assert tokens.status_code == 200, tokens.text


@pytest.mark.skipif(not HAS_HEIF, reason="the plugin is not installed")
def test_a_phones_picture(http: httpx.Client) -> None:
    ask(http, user(image_part(HEICS["rotated"]), QUESTION))


def test_an_error_names_the_field_as_it_was_sent(http: httpx.Client) -> None:
    part = {"type": "image", "source": {"type": "base64", "data": "?"}}
    response = http.post("/v1/chat/completions", json=body(user(QUESTION, part)))
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"], error["code"]) == (
        "messages[0].content[1].source.data",
        "image_url_invalid",
    )
