"""Asks the server about one picture, at once or streamed, and puts streams together."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.api.pictures import body, circle_and_square, encoded, image_part, text_part, user

PICTURE = encoded(circle_and_square())
QUESTION = user(image_part(PICTURE), text_part("Describe the image."))
PATH = "/v1/chat/completions"


@dataclass
class Streamed:
    """One streamed answer."""

    content: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str | None = None


def ask(http: httpx.Client, *messages: dict[str, Any], **wishes: Any) -> dict[str, Any]:
    """Return a whole completion; without messages, about the picture."""
    response = http.post(PATH, json=body(*(messages or (QUESTION,)), **wishes))
    assert response.status_code == 200, response.text
    completion: dict[str, Any] = response.json()
    return completion


def choice(http: httpx.Client, *messages: dict[str, Any], **wishes: Any) -> dict[str, Any]:
    """Return the one choice of a completion."""
    (only,) = ask(http, *messages, **wishes)["choices"]
    found: dict[str, Any] = only
    return found


def text(http: httpx.Client, *messages: dict[str, Any], **wishes: Any) -> str:
    """Return the text of an answer."""
    return str(choice(http, *messages, **wishes)["message"]["content"])


def chunks(http: httpx.Client, *messages: dict[str, Any], **wishes: Any) -> list[dict[str, Any]]:
    """Return the chunks of a stream that ends as it should."""
    request = body(*(messages or (QUESTION,)), stream=True, **wishes)
    response = http.post(PATH, json=request)
    assert response.status_code == 200, response.text
    *events, done, rest = response.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


def streamed(http: httpx.Client, *messages: dict[str, Any], **wishes: Any) -> list[Streamed]:
    """Return the answers of a stream, put together as OpenAI's clients do."""
    answers: dict[int, Streamed] = {}
    for chunk in chunks(http, *messages, **wishes):
        for each in chunk["choices"]:
            answer = answers.setdefault(each["index"], Streamed())
            assert answer.finish_reason is None
            _add(answer, each)
    assert sorted(answers) == list(range(len(answers)))
    return [answers[index] for index in range(len(answers))]


def _add(answer: Streamed, gained: dict[str, Any]) -> None:
    delta = gained["delta"]
    answer.content += delta.get("content") or ""
    answer.logprobs += (gained["logprobs"] or {}).get("content", [])
    answer.finish_reason = gained["finish_reason"]
    for call in delta.get("tool_calls", ()):
        if "id" in call:
            assert call["index"] == len(answer.calls)
            assert set(call) == {"index", "id", "type", "function"}
            assert call["function"]["arguments"] == ""
            answer.calls.append(
                {"id": call["id"], "name": call["function"]["name"], "arguments": ""}
            )
        else:
            # Nulls, or an id again, make clients take it for another call.
            assert set(call) == {"index", "function"}
            assert set(call["function"]) == {"arguments"}
            assert call["index"] == len(answer.calls) - 1
            answer.calls[-1]["arguments"] += call["function"]["arguments"]


def refusal(http: httpx.Client, *messages: dict[str, Any], **wishes: Any) -> dict[str, Any]:
    """Return the error of a request that is at fault."""
    response = http.post(PATH, json=body(*(messages or (QUESTION,)), **wishes))
    assert response.status_code == 400, response.text
    error: dict[str, Any] = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    return error
