"""The description of the API: every body that a route parses by itself, with examples that work."""

import base64
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from server.api.openapi import BODIES
from server.api.routes import chat, responses
from server.app import create_app
from server.checkpoint.config import Checkpoint
from server.example_image import EXAMPLE_IMAGE_URL
from server.keys.key_ring import KeyRing
from server.lifecycle import Lifecycle
from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from server.protocol.completions.request import CompletionRequest, parse_completion_request
from server.protocol.messages.request import (
    MessagesRequest,
    TokenCountRequest,
    parse_messages_request,
    parse_token_count_request,
)
from server.protocol.responses.request import ResponsesRequest
from server.protocol.tokenize import (
    DetokenizeRequest,
    TokenizeChatRequest,
    TokenizeTextRequest,
    parse_detokenize_request,
    parse_tokenize_request,
)
from server.responses.translation import parse_and_translate
from server.settings import Settings

PARSERS: dict[str, Callable[[bytes], Any]] = {
    "/v1/chat/completions": parse_chat_request,
    "/v1/completions": parse_completion_request,
    "/v1/responses": lambda body: parse_and_translate(body).request,
    "/v1/messages": parse_messages_request,
    "/v1/messages/count_tokens": parse_token_count_request,
    "/tokenize": parse_tokenize_request,
    "/detokenize": parse_detokenize_request,
}
KINDS: dict[str, set[str]] = {
    "/v1/chat/completions": {ChatCompletionRequest.__name__},
    "/v1/completions": {CompletionRequest.__name__},
    "/v1/responses": {ResponsesRequest.__name__},
    "/v1/messages": {MessagesRequest.__name__},
    "/v1/messages/count_tokens": {TokenCountRequest.__name__},
    "/tokenize": {TokenizeTextRequest.__name__, TokenizeChatRequest.__name__},
    "/detokenize": {DetokenizeRequest.__name__},
}


@pytest.fixture(scope="module")
def description(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the description of a server that has not been started."""
    settings = Settings.model_validate({})
    app = create_app(settings, checkpoint, Lifecycle(1), lambda _: None, KeyRing())
    described: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return described


def content(description: dict[str, Any], path: str) -> dict[str, Any]:
    """Return what is said of a path's JSON body."""
    body: dict[str, Any] = description["paths"][path]["post"]["requestBody"]
    assert body["required"]
    said: dict[str, Any] = body["content"]["application/json"]
    return said


def references(node: Any) -> list[str]:
    """Return the names of all schemas that are referred to."""
    return re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(node))


def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    assert set(references(description)) <= set(description["components"]["schemas"])


@pytest.mark.parametrize("path", PARSERS)
def test_a_body_is_of_its_kinds(description: dict[str, Any], path: str) -> None:
    assert set(references(content(description, path)["schema"])) == KINDS[path]


@pytest.mark.parametrize("path", PARSERS)
def test_examples_are_requests(description: dict[str, Any], path: str) -> None:
    examples = content(description, path)["examples"]
    assert examples
    for example in examples.values():
        request = PARSERS[path](json.dumps(example["value"]).encode())
        assert type(request).__name__ in KINDS[path]


@pytest.mark.parametrize("path", PARSERS)
def test_errors_have_their_shape(description: dict[str, Any], path: str) -> None:
    responses = description["paths"][path]["post"]["responses"]
    is_anthropic = path.startswith("/v1/messages")
    shape = "MessagesErrorResponse" if is_anthropic else "ErrorResponse"
    for status in ("400", "401", "404", "413", "429", "500", "503"):
        assert set(references(responses[status])) == {shape}
    assert references(responses["200"])
    assert "422" not in responses


def test_every_body_that_is_defined_is_some_routes() -> None:
    assert {kind.__name__ for kind in BODIES} == set().union(*KINDS.values())


@pytest.mark.parametrize("kind", BODIES)
def test_every_field_is_described(description: dict[str, Any], kind: Any) -> None:
    schema = description["components"]["schemas"][kind.__name__]
    assert set(schema["properties"]) == set(kind.model_fields)


def test_a_prompt_may_be_any_of_four(description: dict[str, Any]) -> None:
    prompt = description["components"]["schemas"]["CompletionRequest"]["properties"]["prompt"]
    text, texts, ids, lists = prompt["oneOf"]
    assert text == {"type": "string"}
    assert (texts["items"]["type"], ids["items"]["type"]) == ("string", "integer")
    assert lists["items"]["items"]["type"] == "integer"
    assert texts["maxItems"] == lists["maxItems"] == 128


def test_the_picture_of_the_examples_is_one() -> None:
    assert chat.EXAMPLE["messages"][0]["content"][0]["image_url"]["url"] == EXAMPLE_IMAGE_URL
    assert responses.EXAMPLE["input"][0]["content"][0]["image_url"] == EXAMPLE_IMAGE_URL
    header, data = EXAMPLE_IMAGE_URL.split(",")
    assert header == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as image:
        colors = image.convert("RGB")
        assert [colors.getpixel((x, 32)) for x in (16, 48)] == [(220, 40, 40), (40, 80, 220)]
