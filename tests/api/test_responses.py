"""Responses through OpenAI's client and as raw HTTP: answers, events, tools, formats, refusals."""

import json
from typing import Any, Literal

import httpx
import openai
import pytest
from openai.types.responses import Response
from PIL import Image
from pydantic import BaseModel

from server.protocol.errors import ErrorResponse
from server.protocol.responses.response import ResponseObject
from tests.api.limits import MAX_IMAGES
from tests.api.pictures import circle_and_square, data_url, encoded, green_triangle
from tests.api.running import RunningServer, metric, wait_for_metric
from tests.server.responses.reading import (
    BEGIN,
    MESSAGE_BEGIN,
    MESSAGE_END,
    kinds,
    read_events,
    rebuilt,
)

PATH = "/v1/responses"
PICTURE = encoded(circle_and_square())
COLOR = "What color is the circle?"
DESCRIBE = "Describe the image."
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


def image(picture: Image.Image | bytes | str = PICTURE) -> dict[str, Any]:
    """Return an image part."""
    if isinstance(picture, Image.Image):
        picture = encoded(picture)
    url = picture if isinstance(picture, str) else data_url(picture)
    return {"type": "input_image", "image_url": url, "detail": "auto"}


def text(words: str) -> dict[str, Any]:
    """Return a text part."""
    return {"type": "input_text", "text": words}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    """Return a user's message."""
    return {"role": "user", "content": list(parts)}


def body(body_input: Any, **more: Any) -> dict[str, Any]:
    """Return a request body for the embedded model."""
    return {"model": "llava-tiny", "input": body_input, **more}


def about_the_picture(words: str, **more: Any) -> dict[str, Any]:
    """Return a request about the circle and the square."""
    return body([user(image(), text(words))], **more)


def answered(http: httpx.Client, request: dict[str, Any]) -> dict[str, Any]:
    """Return a response, valid for OpenAI and for ourselves."""
    response = http.post(PATH, json=request)
    assert response.status_code == 200, response.text
    parsed: dict[str, Any] = response.json()
    ResponseObject.model_validate(parsed, extra="forbid")
    Response.model_validate(parsed)
    return parsed


def streamed(http: httpx.Client, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a streamed response."""
    response = http.post(PATH, json=request | {"stream": True})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    return read_events(response.text)


def test_answers_about_an_image(client: openai.OpenAI) -> None:
    response = client.responses.create(**about_the_picture(COLOR))
    assert response.output_text == "red"
    assert response.status == "completed"
    assert response.error is None
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + 2


def test_a_string_and_instructions_are_the_chats(client: openai.OpenAI, http: httpx.Client) -> None:
    chat = client.chat.completions.create(
        model="llava-tiny",
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hello"},
        ],
        max_tokens=20,
    )
    request = body("Hello", instructions="Be kind.", max_output_tokens=20)
    response = answered(http, request)
    assert response["output"][0]["content"][0]["text"] == chat.choices[0].message.content
    assert chat.usage is not None
    assert response["usage"]["input_tokens"] == chat.usage.prompt_tokens
    assert response["instructions"] == "Be kind."


def test_usage_counts_image_tokens(http: httpx.Client) -> None:
    usage = answered(http, about_the_picture(COLOR))["usage"]
    assert usage["input_tokens_details"]["image_tokens"] == 64
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}


def test_ids_are_the_requests(http: httpx.Client) -> None:
    response = http.post(PATH, json=body("Hello"), headers={"x-request-id": "my-id.2"})
    assert response.headers["x-request-id"] == "my-id.2"
    assert response.json()["id"] == "resp_my-id.2"


def test_several_turns_and_images(client: openai.OpenAI) -> None:
    turns: list[Any] = [user(image(), image(green_triangle()), text(COLOR))]
    first = client.responses.create(**body(turns))
    assert first.output_text == "red"
    # As OpenAI's guide has it: the output goes back as it came.
    turns += [item.model_dump() for item in first.output]
    turns.append(user(text("What color is the triangle?")))
    assert client.responses.create(**body(turns)).output_text == "green"


def test_streams_what_it_answers_at_once(http: httpx.Client) -> None:
    request = about_the_picture(DESCRIBE, metadata={"a": "b"}, instructions="Look closely.")
    whole = answered(http, request)
    events = streamed(http, request)
    assert kinds(events) == [
        *BEGIN,
        *MESSAGE_BEGIN,
        "response.output_text.delta",
        *MESSAGE_END,
        "response.completed",
    ]
    last = events[-1]["response"]
    assert rebuilt(events) == last["output"]
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1
    for response in (whole, last):
        for moment in ("id", "created_at", "completed_at"):
            assert response.pop(moment)
        assert response["output"][0].pop("id")
        response["usage"].pop("input_tokens_details")  # the second finds more in the cache
    assert last == whole


def test_the_sdks_stream_puts_the_response_together(client: openai.OpenAI) -> None:
    request = about_the_picture(DESCRIBE)
    whole = client.responses.create(**request)
    with client.responses.stream(**request) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert len(deltas) > 1
    assert "".join(deltas) == final.output_text == whole.output_text


class Scene(BaseModel):
    """A schema that the model is held to."""

    shape: Literal["circle", "star"]
    sure: bool


def test_parses_what_a_schema_holds_it_to(client: openai.OpenAI) -> None:
    response = client.responses.parse(**about_the_picture(DESCRIBE), text_format=Scene)
    assert isinstance(response.output_parsed, Scene)
    assert response.text is not None
    assert response.text.format is not None
    assert response.text.format.type == "json_schema"


def test_the_sdks_stream_parses_too(client: openai.OpenAI) -> None:
    with client.responses.stream(**about_the_picture(DESCRIBE), text_format=Scene) as stream:
        assert isinstance(stream.get_final_response().output_parsed, Scene)


def test_json_objects(http: httpx.Client) -> None:
    request = about_the_picture(
        DESCRIBE, text={"format": {"type": "json_object"}}, max_output_tokens=400
    )
    response = answered(http, request)
    assert response["status"] == "completed"
    assert isinstance(json.loads(response["output"][0]["content"][0]["text"]), dict)


def test_a_round_of_tools(client: openai.OpenAI) -> None:
    items: list[Any] = [user(image(), text(COLOR))]
    asked = {"tools": [WEATHER], "tool_choice": "required"}
    first = client.responses.create(**body(items, parallel_tool_calls=False, **asked))
    [call] = first.output
    assert call.type == "function_call"
    assert json.loads(call.arguments)["city"] in ("Paris", "Rome")
    assert call.status == "completed"
    items.append(call.model_dump())
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "rain"})
    second = client.responses.create(**body(items, tools=[WEATHER], tool_choice="none"))
    assert [item.type for item in second.output] == ["message"]
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > 64


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "function", "name": "get_weather"},
        {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "get_weather"}],
        },
    ],
    ids=["named", "allowed"],
)
def test_streamed_calls(http: httpx.Client, choice: dict[str, Any]) -> None:
    other = WEATHER | {"name": "get_time"}
    request = body("Hello", tools=[other, WEATHER], tool_choice=choice, parallel_tool_calls=False)
    events = streamed(http, request)
    assert kinds(events) == [
        *BEGIN,
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    last = events[-1]["response"]
    assert rebuilt(events) == last["output"]
    [call] = last["output"]
    assert call["name"] == "get_weather"
    done = next(event for event in events if event["type"].endswith("arguments.done"))
    assert done["arguments"] == call["arguments"]
    assert last["tool_choice"] == choice
    assert last["tools"] == [other, WEATHER]


def test_log_probabilities_spell_the_text(http: httpx.Client) -> None:
    request = about_the_picture(DESCRIBE, include=["message.output_text.logprobs"], top_logprobs=2)
    [part] = answered(http, request)["output"][0]["content"]
    spelt = b"".join(bytes(token["bytes"]) for token in part["logprobs"])
    assert spelt.decode() == part["text"]
    assert all(len(token["top_logprobs"]) == 2 for token in part["logprobs"])
    events = streamed(http, request)
    told = [token["token"] for e in events if "delta" in e for token in e["logprobs"]]
    assert told == [token["token"] for token in part["logprobs"]]


def test_an_answer_cut_short_is_incomplete(http: httpx.Client) -> None:
    request = about_the_picture(DESCRIBE, max_output_tokens=3)
    whole = answered(http, request)
    last = streamed(http, request)[-1]
    assert last["type"] == "response.incomplete"
    for response in (whole, last["response"]):
        assert response["status"] == "incomplete"
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}
        assert response["output"][0]["status"] == "incomplete"
        assert response["usage"]["output_tokens"] == 3


def test_vllms_sampling_fields_are_honoured(http: httpx.Client) -> None:
    whole = answered(http, about_the_picture(DESCRIBE))["output"][0]["content"][0]["text"]
    stop = whole[len(whole) // 2 :][:4]
    cut = answered(http, about_the_picture(DESCRIBE, stop=stop, top_k=1, seed=1))
    assert cut["output"][0]["content"][0]["text"] == whole[: whole.index(stop)]


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
    "an image without words": (
        body([user(image())]),
        400,
        "invalid_value",
        "input[0].content",
    ),
    "the assistant last": (
        body([user(text("Hi")), {"role": "assistant", "content": "Hello"}]),
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
def test_bad_requests_are_named(http: httpx.Client, case: str, stream: bool) -> None:
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
    made = answered(http, body("Hello", max_output_tokens=2, store=True))
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


def test_a_client_that_leaves_gives_its_permit_back(
    server: RunningServer, http: httpx.Client
) -> None:
    running = "llava:num_requests_running"
    assert metric(server.url, running) == 0
    request = body("Hello", stream=True, ignore_eos=True)
    with http.stream("POST", PATH, json=request) as response:
        lines = response.iter_lines()
        assert next(lines) == "event: response.created"
        assert metric(server.url, running) == 1
    wait_for_metric(server.url, running, 0, limit_s=10)
    assert metric(server.url, 'llava:requests_total{outcome="cancelled"}') >= 1


def test_the_api_describes_requests_responses_and_events(http: httpx.Client) -> None:
    description = http.get("/openapi.json").json()
    schemas = description["components"]["schemas"]
    operation = description["paths"][PATH]["post"]
    wanted = operation["requestBody"]["content"]["application/json"]
    assert wanted["schema"] == {"$ref": "#/components/schemas/ResponsesRequest"}
    example = wanted["examples"]["a picture"]["value"]
    assert example["input"][0]["content"][0]["type"] == "input_image"
    answer = operation["responses"]["200"]["content"]
    assert answer["application/json"]["schema"]["$ref"].endswith("/ResponseObject")
    assert answer["text/event-stream"]["schema"]["$ref"].endswith("/ResponseStreamEvent")
    assert {"400", "401", "404", "413", "429", "500", "503"} <= set(operation["responses"])
    assert {"model", "input", "stream", "seed"} <= set(schemas["ResponsesRequest"]["properties"])
    assert schemas["ResponseStreamEvent"]["anyOf"]
