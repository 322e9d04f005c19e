"""Chat completions through OpenAI's client: right answers, shapes, streams, usage."""

import json

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from server.protocol.chat.response import ChatCompletion as CompletionShape
from server.protocol.chat.response import ChatCompletionChunk as ChunkShape
from tests.api.pictures import (
    body,
    circle_and_square,
    encoded,
    green_triangle,
    image_part,
    text_part,
    user,
)

IMAGE_TOKENS = 64


def test_answers_about_an_image(client: openai.OpenAI) -> None:
    question = user(image_part(circle_and_square()), text_part("What color is the circle?"))
    answer = client.chat.completions.create(**body(question))
    assert answer.choices[0].message.content == "red"
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 90}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
    ],
)
def test_understands_every_format(
    client: openai.OpenAI, image_format: str, options: dict[str, object]
) -> None:
    picture = encoded(circle_and_square(640, 480), image_format, **options)
    question = user(image_part(picture), text_part("Where is the blue square?"))
    answer = client.chat.completions.create(**body(question))
    assert answer.choices[0].message.content == "bottom right"


def test_the_shape_is_openais(http: httpx.Client) -> None:
    request = body(user(image_part(green_triangle()), text_part("How many shapes are there?")))
    response = http.post("/v1/chat/completions", json=request)
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    CompletionShape.model_validate(answer)
    ChatCompletion.model_validate(answer)
    assert answer["id"].startswith("chatcmpl-")
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "llava-tiny"
    [choice] = answer["choices"]
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "1", "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }


def test_usage_counts_image_tokens(client: openai.OpenAI) -> None:
    def prompt_tokens(num_images: int) -> int:
        parts = [image_part(green_triangle())] * num_images
        request = body(user(*parts, text_part("What is this?")), max_tokens=5)
        answer: ChatCompletion = client.chat.completions.create(**request)
        usage = answer.usage
        assert usage is not None
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        assert 1 <= usage.completion_tokens <= 5
        return usage.prompt_tokens

    none, one, two = prompt_tokens(0), prompt_tokens(1), prompt_tokens(2)
    # Each image is followed by a newline; with one, its token may merge with nothing else.
    assert IMAGE_TOKENS <= one - none <= IMAGE_TOKENS + 3
    assert two - one == IMAGE_TOKENS + 1


def test_streams_what_it_answers_at_once(client: openai.OpenAI) -> None:
    question = user(image_part(circle_and_square()), text_part("Describe the image."))
    whole = client.chat.completions.create(**body(question))
    chunks = list(
        client.chat.completions.create(
            **body(question, stream=True, stream_options={"include_usage": True})
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks[:-1]] == [None] * (len(chunks) - 2) + [
        "stop"
    ]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens


@pytest.mark.parametrize("include_usage", [True, False])
def test_events_are_openais(http: httpx.Client, include_usage: bool) -> None:
    request = body(user("Hello"), stream=True, max_tokens=8)
    if include_usage:
        request["stream_options"] = {"include_usage": True}
    response = http.post("/v1/chat/completions", json=request)
    assert response.headers["content-type"].startswith("text/event-stream")
    *events, done, rest = response.text.split("\n\n")
    assert done == "data: [DONE]"
    assert rest == ""
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    for chunk in chunks:
        ChunkShape.model_validate(chunk)
        ChatCompletionChunk.model_validate(chunk)
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert ("usage" in chunks[0]) == include_usage
    assert [chunk["usage"] for chunk in chunks if chunk.get("usage")] == (
        [chunks[-1]["usage"]] if include_usage else []
    )


def test_goes_on_after_an_answer(client: openai.OpenAI) -> None:
    first = user(image_part(circle_and_square()), text_part("What color is the circle?"))
    history = [first, {"role": "assistant", "content": "red"}]
    answer = client.chat.completions.create(**body(*history, user("Where is the blue square?")))
    assert answer.choices[0].message.content == "bottom right"


@pytest.mark.parametrize("swapped", [False, True])
def test_sees_both_of_two_images(client: openai.OpenAI, swapped: bool) -> None:
    parts = [image_part(circle_and_square()), image_part(green_triangle())]
    parts = parts[::-1] if swapped else parts
    for shape, color in (("circle", "red"), ("square", "blue"), ("triangle", "green")):
        question = text_part(f"What color is the {shape}?")
        answer = client.chat.completions.create(**body(user(*parts, question)))
        assert answer.choices[0].message.content == color


def test_answers_without_an_image(client: openai.OpenAI) -> None:
    messages = [{"role": "developer", "content": "Be kind."}, user("Hello")]
    answer = client.chat.completions.create(**body(*messages, max_tokens=40))
    assert answer.choices[0].message.content


def test_greedy_answers_do_not_depend_on_company(http: httpx.Client) -> None:
    request = body(user(image_part(circle_and_square()), text_part("Describe the image.")))
    answers = {
        http.post("/v1/chat/completions", json=request).json()["choices"][0]["message"]["content"]
        for _ in range(5)
    }
    assert len(answers) == 1


def test_a_seed_makes_sampling_repeatable(client: openai.OpenAI) -> None:
    def sample(seed: int) -> str | None:
        # The model is sure of its answer; what it says beyond is anybody's guess.
        request = body(user("Hello"), temperature=2.0, seed=seed, max_tokens=60)
        answer: ChatCompletion = client.chat.completions.create(
            **request, extra_body={"ignore_eos": True}
        )
        return answer.choices[0].message.content

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


def test_min_tokens_lets_nothing_end_an_answer_before(http: httpx.Client) -> None:
    request = body(user("Hello"), max_tokens=40)
    short = http.post("/v1/chat/completions", json=request).json()
    assert short["usage"]["completion_tokens"] < 30
    word = short["choices"][0]["message"]["content"].split()[0]
    for stop in (None, word):
        wishes = {"min_tokens": 30, "stop": stop}
        long = http.post("/v1/chat/completions", json=request | wishes).json()
        assert 30 <= long["usage"]["completion_tokens"] <= 40


@pytest.mark.parametrize("stream", [False, True])
def test_stops_at_a_stop_string(http: httpx.Client, stream: bool) -> None:
    question = user(image_part(circle_and_square()), text_part("Describe the image."))
    whole = http.post("/v1/chat/completions", json=body(question)).json()
    text = whole["choices"][0]["message"]["content"]
    stop = text[len(text) // 2 :][:4]
    request = body(question, stop=[stop, "never said"], stream=stream)
    response = http.post("/v1/chat/completions", json=request)
    if stream:
        events = [e.removeprefix("data: ") for e in response.text.split("\n\n")[:-2]]
        choices = [json.loads(event)["choices"][0] for event in events]
        answer = "".join(choice["delta"].get("content", "") for choice in choices)
        reason = choices[-1]["finish_reason"]
    else:
        [choice] = response.json()["choices"]
        answer, reason = choice["message"]["content"], choice["finish_reason"]
    assert answer == text[: text.index(stop)]
    assert reason == "stop"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_stops_at_the_token_limit(client: openai.OpenAI, field: str) -> None:
    question = user(image_part(circle_and_square()), text_part("Describe the image."))
    answer = client.chat.completions.create(**body(question, **{field: 3}))
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_a_limit_beyond_the_context_is_cut_to_it(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**body(user("Hello"), max_tokens=100_000))
    assert answer.choices[0].message.content


def test_habits_of_clients_change_nothing(http: httpx.Client) -> None:
    habits = {
        "n": 1,
        "store": False,
        "metadata": {"a": "b"},
        "user": "somebody",
        "service_tier": "auto",
        "parallel_tool_calls": True,
        "tools": None,
        "response_format": {"type": "text"},
        "logprobs": False,
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "logit_bias": {},
    }
    response = http.post("/v1/chat/completions", json=body(user("Hello"), **habits))
    assert response.status_code == 200
