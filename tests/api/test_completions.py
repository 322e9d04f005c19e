"""Text completions through OpenAI's client: answers, shapes, streams, refusals."""

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from server.protocol.errors import ErrorResponse
from tests.api.pictures import body as chat_body
from tests.api.pictures import user
from tests.api.running import RunningServer, metric, wait_for_metric
from tests.api.text_completions import (
    IMAGE_TOKEN,
    OTHER,
    PROMPT,
    assert_near,
    body,
    complete,
    join_chunks,
    stream,
    tokenize,
)


def test_completes_a_prompt(client: openai.OpenAI) -> None:
    answer = client.completions.create(**body(max_tokens=40))
    [choice] = answer.choices
    assert choice.text.startswith(" Hello! Send me")
    assert choice.finish_reason == "stop"
    assert (answer.object, answer.model, answer.id[:5]) == (
        "text_completion",
        "llava-tiny",
        "cmpl-",
    )
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_prompts_have_no_template(http: httpx.Client) -> None:
    question = user("Hello")
    chat = http.post("/v1/chat/completions", json=chat_body(question, max_tokens=30)).json()
    ids = http.post("/tokenize", json={"messages": [question]}).json()["tokens"]
    answer = complete(http, ids, max_tokens=30)
    content = chat["choices"][0]["message"]["content"]
    assert answer["choices"][0]["text"] == f" {content}"
    assert answer["usage"]["prompt_tokens"] == chat["usage"]["prompt_tokens"] == len(ids)
    bare = complete(http, "Hello")["usage"]["prompt_tokens"]
    assert bare == len(tokenize(http, "Hello")) < len(ids)


def test_max_tokens_defaults_to_16(http: httpx.Client) -> None:
    answer = complete(http, ignore_eos=True)
    assert answer["usage"]["completion_tokens"] == 16
    assert answer["choices"][0]["finish_reason"] == "length"


def test_max_tokens_are_clamped_to_the_remaining_context(http: httpx.Client) -> None:
    ids = [tokenize(http, "red")[1]] * 2040
    answer = complete(http, ids, max_tokens=50, ignore_eos=True)
    assert answer["usage"]["total_tokens"] == 2048


@pytest.mark.parametrize("form", ["texts", "ids", "id lists"])
def test_prompts_as_lists_and_token_ids(http: httpx.Client, form: str) -> None:
    ids = tokenize(http, PROMPT)
    prompt = {"texts": [PROMPT], "ids": ids, "id lists": [ids]}[form]
    assert complete(http, prompt)["choices"] == complete(http)["choices"]


@pytest.mark.parametrize("streamed", [False, True])
def test_choices_are_numbered_prompt_by_prompt(http: httpx.Client, streamed: bool) -> None:
    options: dict[str, Any] = {"n": 2, "max_tokens": 5, "echo": True}
    if streamed:
        answers = join_chunks(stream(http, [PROMPT, OTHER], **options))
    else:
        answer = complete(http, [PROMPT, OTHER], **options)
        answers = {choice["index"]: choice for choice in answer["choices"]}
        assert list(answers) == [0, 1, 2, 3]
    alone = [complete(http, prompt, max_tokens=5)["choices"][0] for prompt in (PROMPT, OTHER)]
    for index, prompt in enumerate([PROMPT, PROMPT, OTHER, OTHER]):
        assert answers[index]["text"] == prompt + alone[index // 2]["text"]
        assert answers[index]["finish_reason"] == alone[index // 2]["finish_reason"]


def test_usage_is_the_sum_over_all_prompts(http: httpx.Client) -> None:
    options = {"max_tokens": 7, "ignore_eos": True}
    usages = [complete(http, prompt, **options)["usage"] for prompt in (PROMPT, OTHER)]
    both = complete(http, [PROMPT, OTHER], **options)["usage"]
    assert both["prompt_tokens"] == sum(usage["prompt_tokens"] for usage in usages)
    assert both["completion_tokens"] == 14
    assert both["total_tokens"] == both["prompt_tokens"] + 14
    assert both["prompt_tokens_details"]["image_tokens"] == 0
    assert both["completion_tokens_details"]["reasoning_tokens"] == 0


def test_choices_differ_at_high_temperature(http: httpx.Client) -> None:
    answer = complete(http, n=4, best_of=4, temperature=2, seed=1, max_tokens=40, ignore_eos=True)
    texts = {choice["text"] for choice in answer["choices"]}
    assert len(texts) > 1
    again = complete(http, n=4, temperature=2, seed=1, max_tokens=40, ignore_eos=True)
    assert {choice["text"] for choice in again["choices"]} == texts


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"logprobs": 3},
        {"echo": True},
        {"echo": True, "logprobs": 0},
        {"echo": True, "logprobs": 2, "max_tokens": 0},
        {"stop": ["e red", "picture"], "logprobs": 1},
        {"prompt": [PROMPT, OTHER], "n": 3, "logprobs": 1},
    ],
)
def test_streams_equal_complete_responses(http: httpx.Client, options: dict[str, Any]) -> None:
    options = {"max_tokens": 24, **options}
    complete_response = complete(http, **options)
    chunks = stream(http, stream_options={"include_usage": True}, **options)
    answers = join_chunks(chunks)
    assert len(answers) == len(complete_response["choices"])
    for choice in complete_response["choices"]:
        answer = answers[choice["index"]]
        assert answer["text"] == choice["text"]
        assert answer["finish_reason"] == choice["finish_reason"]
        if choice["logprobs"] is None:
            assert answer["logprobs"] is None
            continue
        for name in ("tokens", "text_offset"):
            assert answer["logprobs"][name] == choice["logprobs"][name]
        expected = choice["logprobs"]["token_logprobs"]
        assert_near(answer["logprobs"]["token_logprobs"], expected)
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[-1]["choices"] == []
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert chunks[-1]["usage"][name] == complete_response["usage"][name]


def test_continuous_usage_grows(http: httpx.Client) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = stream(http, stream_options=options, max_tokens=12, ignore_eos=True)
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts == sorted(counts)
    assert counts[-1] == 12


def test_a_stream_has_no_usage_by_default(http: httpx.Client) -> None:
    assert not any("usage" in chunk for chunk in stream(http, max_tokens=3))


def test_openais_client_reads_a_stream(client: openai.OpenAI) -> None:
    complete_response = client.completions.create(**body(max_tokens=20))
    chunks = list(client.completions.create(**body(max_tokens=20, stream=True)))
    assert "".join(chunk.choices[0].text for chunk in chunks) == complete_response.choices[0].text
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices[0].finish_reason == complete_response.choices[0].finish_reason


@pytest.mark.parametrize("streamed", [False, True])
def test_a_stop_string_over_several_tokens(http: httpx.Client, streamed: bool) -> None:
    text = complete(http, max_tokens=24)["choices"][0]["text"]
    stop = text[8:15]
    options: dict[str, Any] = {"max_tokens": 24, "stop": stop}
    answer = (
        join_chunks(stream(http, **options))[0]
        if streamed
        else complete(http, **options)["choices"][0]
    )
    assert answer["text"] == text[: text.index(stop)]
    assert answer["finish_reason"] == "stop"


def test_structured_outputs(http: httpx.Client) -> None:
    options = {"structured_outputs": {"choice": ["seven apples", "nine pears"]}}
    answer = complete(http, [PROMPT, OTHER], max_tokens=30, **options)
    assert {choice["text"] for choice in answer["choices"]} <= {"seven apples", "nine pears"}
    answer = complete(http, response_format={"type": "json_object"}, max_tokens=60)
    assert isinstance(json.loads(answer["choices"][0]["text"]), dict)


def test_biases_and_penalties_reach_the_engine(http: httpx.Client) -> None:
    [banned] = tokenize(http, " Hello", add_special_tokens=False)
    assert complete(http)["choices"][0]["text"].startswith(" Hello")
    biased = complete(http, logit_bias={str(banned): -100})
    assert not biased["choices"][0]["text"].startswith(" Hello")


BAD: dict[str, tuple[Any, int, str, str | None]] = {
    "malformed JSON": (b'{"model": ', 400, "invalid_json", None),
    "no prompt": ({"model": "llava-tiny"}, 400, "invalid_value", "prompt"),
    "unknown model": (body() | {"model": "gpt"}, 404, "model_not_found", "model"),
    "prompt null": (body(None), 400, "invalid_value", "prompt"),
    "prompt empty": (body([]), 400, "invalid_value", "prompt"),
    "prompt a number": (body(3), 400, "invalid_value", "prompt"),
    "a list of nothing": (body([[]]), 400, "invalid_value", "prompt[0]"),
    "mixed texts": (body(["a", 1]), 400, "invalid_value", "prompt[1]"),
    "mixed ids": (body([1, "a"]), 400, "invalid_value", "prompt[1]"),
    "a negative id": (body([[5], [5, -1]]), 400, "invalid_value", "prompt[1][1]"),
    "an id as a float": (body([5, 6.5]), 400, "invalid_value", "prompt[1]"),
    "an id as a boolean": (body([5, True]), 400, "invalid_value", "prompt[1]"),
    "an unknown id": (body([5, 859]), 400, "invalid_value", "prompt[1]"),
    "an unknown id among lists": (body([[5], [859]]), 400, "invalid_value", "prompt[1][0]"),
    "an image token": (body([5, IMAGE_TOKEN]), 400, "invalid_value", "prompt[1]"),
    "too many prompts": (body(["a"] * 129), 400, "invalid_value", "prompt"),
    "too many answers": (body(["a"] * 65, n=2), 400, "invalid_value", "n"),
    "beyond the context": (body([5] * 2048), 400, "context_length_exceeded", "prompt"),
    "one beyond the context": (
        body(["a", "circle " * 4000]),
        400,
        "context_length_exceeded",
        "prompt[1]",
    ),
    "no tokens without echo": (body(max_tokens=0), 400, "invalid_value", "max_tokens"),
    "negative tokens": (body(max_tokens=-2), 400, "invalid_value", "max_tokens"),
    "too many logprobs": (body(logprobs=21), 400, "invalid_value", "logprobs"),
    "logprobs as in chat": (body(logprobs=True), 400, "invalid_value", "logprobs"),
    "best of more": (body(n=1, best_of=2), 400, "unsupported_parameter", "best_of"),
    "a suffix": (body(suffix="end"), 400, "unsupported_parameter", "suffix"),
    "messages": (body(messages=[]), 400, "unsupported_parameter", "messages"),
    "a misspelt field": (body(max_token=3), 400, "unsupported_parameter", "max_token"),
    "options without a stream": (
        body(stream_options={"include_usage": True}),
        400,
        "invalid_value",
        "stream_options",
    ),
    "more at least than at most": (body(min_tokens=17), 400, "invalid_value", "min_tokens"),
    "an unknown bias": (body(logit_bias={"859": 1}), 400, "invalid_value", "logit_bias"),
    "a broken schema": (
        body(structured_outputs={"regex": "("}),
        400,
        "invalid_value",
        "structured_outputs.regex",
    ),
    "five stops": (body(stop=list("abcde")), 400, "invalid_value", "stop"),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_name_code_and_field(http: httpx.Client, case: str) -> None:
    request, status, code, param = BAD[case]
    content = request if isinstance(request, bytes) else json.dumps(request)
    response = http.post("/v1/completions", content=content)
    assert response.status_code == status, response.text
    ErrorResponse.model_validate(response.json())
    error = response.json()["error"]
    assert (error["code"], error["param"]) == (code, param)
    assert error["message"]


def test_ignored_fields_are_accepted(http: httpx.Client) -> None:
    plain = complete(http)["choices"]
    assert complete(http, suffix="", user="me", best_of=1, n=1, echo=False)["choices"] == plain
    assert complete(http, suffix=None, logprobs=None, stop=None)["choices"] == plain


async def test_a_disconnect_while_streaming_aborts_all_prompts(
    server: RunningServer, http_async: httpx.AsyncClient
) -> None:
    cancelled = metric(server.url, "llava:requests_total")
    request = body([PROMPT, OTHER], max_tokens=2000, ignore_eos=True, stream=True, n=1)
    async with http_async.stream("POST", "/v1/completions", json=request) as response:
        await anext(response.aiter_lines())
        assert metric(server.url, "vllm:num_requests_running") == 2
    await asyncio.to_thread(wait_for_metric, server.url, "vllm:num_requests_running", 0.0, 10.0)
    await asyncio.to_thread(
        wait_for_metric, server.url, "llava:requests_total", cancelled + 1, 10.0
    )
    assert metric(server.url, 'llava:requests_total{outcome="cancelled"}') >= 1


async def test_a_disconnect_before_the_response_aborts_all_prompts(
    server: RunningServer, http_async: httpx.AsyncClient
) -> None:
    request = body([PROMPT, OTHER], max_tokens=2000, ignore_eos=True)
    waiting = asyncio.create_task(http_async.post("/v1/completions", json=request))
    await asyncio.to_thread(wait_for_metric, server.url, "vllm:num_requests_running", 2.0, 20.0)
    waiting.cancel()
    await asyncio.to_thread(wait_for_metric, server.url, "vllm:num_requests_running", 0.0, 10.0)
    await asyncio.to_thread(wait_for_metric, server.url, "llava:num_requests_running", 0.0, 10.0)


def test_metrics_and_the_request_log(server: RunningServer, http: httpx.Client) -> None:
    done = metric(server.url, 'llava:requests_total{outcome="ok"}')
    tokens = metric(server.url, "llava:generation_tokens_total")
    headers = {"x-request-id": "text.1"}
    request = body([PROMPT, OTHER], max_tokens=3, ignore_eos=True)
    response = http.post("/v1/completions", json=request, headers=headers)
    completion_id = response.json()["id"]
    assert completion_id.startswith("cmpl-")
    assert metric(server.url, 'llava:requests_total{outcome="ok"}') == done + 1
    assert metric(server.url, "llava:generation_tokens_total") == tokens + 6
    assert metric(server.url, "llava:num_requests_waiting") == 0
    [line] = [json.loads(line) for line in server.log if completion_id in line]
    assert line["request_id"] == "text.1"
    assert (line["outcome"], line["completion_tokens"]) == ("ok", 6)
    assert not [line for line in server.log if "ASSISTANT" in line]
