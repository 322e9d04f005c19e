"""Requests for text completions, and their streams join_chunks."""

import json
from typing import Any

import httpx
from openai.types import Completion

from server.protocol.completions.response import TextCompletion, TextCompletionChunk

PROMPT = "USER: Hello ASSISTANT:"


OTHER = "USER: What color is the circle? ASSISTANT:"


IMAGE_TOKEN = 4


CLOSE = 0.02


def body(prompt: Any = PROMPT, **options: Any) -> dict[str, Any]:
    return {"model": "llava-tiny", "prompt": prompt, "temperature": 0, **options}


def complete(http: httpx.Client, prompt: Any = PROMPT, **options: Any) -> dict[str, Any]:
    """Return a completion, valid for OpenAI's schema and ours."""
    response = http.post("/v1/completions", json=body(prompt, **options))
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    TextCompletion.model_validate(answer)
    if not options.get("echo"):  # OpenAI's types require a number for the first token
        Completion.model_validate(answer)
    return answer


def stream(http: httpx.Client, prompt: Any = PROMPT, **options: Any) -> list[dict[str, Any]]:
    """Return the chunks of a complete stream."""
    response = http.post("/v1/completions", json=body(prompt, stream=True, **options))
    assert response.headers["content-type"].startswith("text/event-stream"), response.text
    *events, done, rest = response.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    for chunk in chunks:
        TextCompletionChunk.model_validate(chunk)
    return chunks


def join_chunks(chunks: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Join the chunks of each choice."""
    answers: dict[int, dict[str, Any]] = {}
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        answer = answers.setdefault(choice["index"], {"text": "", "logprobs": None})
        assert "finish_reason" not in answer, "a chunk after the last one"
        answer["text"] += choice["text"]
        if choice["finish_reason"]:
            answer["finish_reason"] = choice["finish_reason"]
        for name, values in (choice["logprobs"] or {}).items():
            answer["logprobs"] = answer["logprobs"] or {}
            answer["logprobs"].setdefault(name, []).extend(values)
    return answers


def tokenize(http: httpx.Client, prompt: str, **options: Any) -> list[int]:
    ids: list[int] = http.post("/tokenize", json={"prompt": prompt, **options}).json()["tokens"]
    return ids


def assert_near(first: list[float | None], second: list[float | None]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert (one is None) == (other is None)
        assert one is None or other is None or abs(one - other) < CLOSE
