"""Responses through OpenAI's client and as raw HTTP: answers, events, tools, formats."""

import json
import re
from typing import Any, Literal

import httpx
import openai
import pytest
from pydantic import BaseModel

from tests.api.pictures import green_triangle
from tests.api.responses import (
    COLOR,
    DESCRIBE,
    PATH,
    body,
    create_response,
    image,
    image_request,
    stream_response,
    text,
    user,
)
from tests.api.running import RunningServer, metric, wait_for_metric
from tests.server.responses.reading import (
    BEGIN,
    MESSAGE_BEGIN,
    MESSAGE_END,
    list_event_types,
    rebuild_output,
)

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


def test_answers_about_an_image(client: openai.OpenAI) -> None:
    response = client.responses.create(**image_request(COLOR))
    assert response.output_text == "red"
    assert response.status == "completed"
    assert response.error is None
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + 2


def test_a_string_and_instructions_equal_a_chat(client: openai.OpenAI, http: httpx.Client) -> None:
    chat = client.chat.completions.create(
        model="llava-tiny",
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hello"},
        ],
        max_tokens=20,
    )
    request = body("Hello", instructions="Be kind.", max_output_tokens=20)
    response = create_response(http, request)
    assert response["output"][0]["content"][0]["text"] == chat.choices[0].message.content
    assert chat.usage is not None
    assert response["usage"]["input_tokens"] == chat.usage.prompt_tokens
    assert response["instructions"] == "Be kind."


def test_usage_counts_image_tokens(http: httpx.Client) -> None:
    usage = create_response(http, image_request(COLOR))["usage"]
    assert usage["input_tokens_details"]["image_tokens"] == 64
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}


def test_a_response_has_an_id_of_its_own(http: httpx.Client) -> None:
    response = http.post(PATH, json=body("Hello"), headers={"x-request-id": "my-id.2"})
    assert response.headers["x-request-id"] == "my-id.2"
    assert re.fullmatch("resp_[0-9a-f]{32}", response.json()["id"])


def test_several_turns_and_images(client: openai.OpenAI) -> None:
    turns: list[Any] = [user(image(), image(green_triangle()), text(COLOR))]
    first = client.responses.create(**body(turns))
    assert first.output_text == "red"
    # As in OpenAI's guide: the output is sent back unchanged.
    turns += [item.model_dump() for item in first.output]
    turns.append(user(text("What color is the triangle?")))
    assert client.responses.create(**body(turns)).output_text == "green"


def test_streams_equal_complete_responses(http: httpx.Client) -> None:
    request = image_request(DESCRIBE, metadata={"a": "b"}, instructions="Look closely.")
    complete_response = create_response(http, request)
    events = stream_response(http, request)
    assert list_event_types(events) == [
        *BEGIN,
        *MESSAGE_BEGIN,
        "response.output_text.delta",
        *MESSAGE_END,
        "response.completed",
    ]
    last = events[-1]["response"]
    assert rebuild_output(events) == last["output"]
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1
    for response in (complete_response, last):
        for moment in ("id", "created_at", "completed_at"):
            assert response.pop(moment)
        assert response["output"][0].pop("id")
        response["usage"].pop("input_tokens_details")  # the second request has more cached tokens
    assert last == complete_response


def test_the_sdk_accumulates_a_stream(client: openai.OpenAI) -> None:
    request = image_request(DESCRIBE)
    complete_response = client.responses.create(**request)
    with client.responses.stream(**request) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert len(deltas) > 1
    assert "".join(deltas) == final.output_text == complete_response.output_text


class Scene(BaseModel):
    """A response schema."""

    shape: Literal["circle", "star"]
    sure: bool


def test_the_sdk_parses_structured_outputs(client: openai.OpenAI) -> None:
    response = client.responses.parse(**image_request(DESCRIBE), text_format=Scene)
    assert isinstance(response.output_parsed, Scene)
    assert response.text is not None
    assert response.text.format is not None
    assert response.text.format.type == "json_schema"


def test_the_sdk_parses_a_stream(client: openai.OpenAI) -> None:
    with client.responses.stream(**image_request(DESCRIBE), text_format=Scene) as stream:
        assert isinstance(stream.get_final_response().output_parsed, Scene)


def test_json_objects(http: httpx.Client) -> None:
    request = image_request(
        DESCRIBE, text={"format": {"type": "json_object"}}, max_output_tokens=400
    )
    response = create_response(http, request)
    assert response["status"] == "completed"
    assert isinstance(json.loads(response["output"][0]["content"][0]["text"]), dict)


def test_a_tool_call_and_its_result(client: openai.OpenAI) -> None:
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
def test_tool_choices_in_streams(http: httpx.Client, choice: dict[str, Any]) -> None:
    other = WEATHER | {"name": "get_time"}
    request = body("Hello", tools=[other, WEATHER], tool_choice=choice, parallel_tool_calls=False)
    events = stream_response(http, request)
    assert list_event_types(events) == [
        *BEGIN,
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    last = events[-1]["response"]
    assert rebuild_output(events) == last["output"]
    [call] = last["output"]
    assert call["name"] == "get_weather"
    done = next(event for event in events if event["type"].endswith("arguments.done"))
    assert (done["name"], done["arguments"]) == ("get_weather", call["arguments"])
    assert last["tool_choice"] == choice
    assert last["tools"] == [other, WEATHER]


def test_log_probabilities_cover_the_text(http: httpx.Client) -> None:
    request = image_request(DESCRIBE, include=["message.output_text.logprobs"], top_logprobs=2)
    [part] = create_response(http, request)["output"][0]["content"]
    token_bytes = b"".join(bytes(token["bytes"]) for token in part["logprobs"])
    assert token_bytes.decode() == part["text"]
    assert all(len(token["top_logprobs"]) == 2 for token in part["logprobs"])
    events = stream_response(http, request)
    tokens = [token["token"] for e in events if "delta" in e for token in e["logprobs"]]
    assert tokens == [token["token"] for token in part["logprobs"]]


def test_an_answer_at_the_token_limit_is_incomplete(http: httpx.Client) -> None:
    request = image_request(DESCRIBE, max_output_tokens=3)
    complete_response = create_response(http, request)
    last = stream_response(http, request)[-1]
    assert last["type"] == "response.incomplete"
    for response in (complete_response, last["response"]):
        assert response["status"] == "incomplete"
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}
        assert response["output"][0]["status"] == "incomplete"
        assert response["usage"]["output_tokens"] == 3


def test_vllms_sampling_fields(http: httpx.Client) -> None:
    complete_text = create_response(http, image_request(DESCRIBE))["output"][0]["content"][0][
        "text"
    ]
    stop = complete_text[len(complete_text) // 2 :][:4]
    cut = create_response(http, image_request(DESCRIBE, stop=stop, top_k=1, seed=1))
    assert cut["output"][0]["content"][0]["text"] == complete_text[: complete_text.index(stop)]


def test_a_disconnect_releases_the_permit(server: RunningServer, http: httpx.Client) -> None:
    running = "llava:num_requests_running"
    assert metric(server.url, running) == 0
    request = body("Hello", stream=True, ignore_eos=True)
    with http.stream("POST", PATH, json=request) as response:
        lines = response.iter_lines()
        assert next(lines) == "event: response.created"
        assert metric(server.url, running) == 1
    wait_for_metric(server.url, running, 0, limit_s=10)
    assert metric(server.url, 'llava:requests_total{outcome="cancelled"}') >= 1


def test_openapi_describes_requests_responses_and_events(http: httpx.Client) -> None:
    description = http.get("/openapi.json").json()
    schemas = description["components"]["schemas"]
    operation = description["paths"][PATH]["post"]
    request_body = operation["requestBody"]["content"]["application/json"]
    assert request_body["schema"] == {"$ref": "#/components/schemas/ResponsesRequest"}
    example = request_body["examples"]["a picture"]["value"]
    assert example["input"][0]["content"][0]["type"] == "input_image"
    answer = operation["responses"]["200"]["content"]
    assert answer["application/json"]["schema"]["$ref"].endswith("/ResponseObject")
    assert answer["text/event-stream"]["schema"]["$ref"].endswith("/ResponseStreamEvent")
    assert {"400", "401", "404", "413", "429", "500", "503"} <= set(operation["responses"])
    assert {"model", "input", "stream", "seed"} <= set(schemas["ResponsesRequest"]["properties"])
    assert schemas["ResponseStreamEvent"]["anyOf"]
