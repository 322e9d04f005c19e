"""Replicas answer like one server: at every endpoint, whole and streamed, errors too."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.pictures import body, circle_and_square, image_part, text_part, user
from tests.api.running import running_server
from tests.scale.replicas import OPTIONS, Replicas, without_ids

# Replicas start, and come back, on cores that all share.
pytestmark = pytest.mark.timeout(600)

IMAGE = user(image_part(circle_and_square()), text_part("Describe it."))
GREEDY = {"temperature": 0, "max_tokens": 24}
TEXT = {"model": "llava-tiny", "messages": [user("What is it?")], **GREEDY}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", TEXT),
    "chat with an image": ("/v1/chat/completions", body(IMAGE, **GREEDY)),
    "streamed chat": ("/v1/chat/completions", {**body(IMAGE, **GREEDY), "stream": True}),
    "log probabilities": ("/v1/chat/completions", {**TEXT, "logprobs": True, "top_logprobs": 2}),
    "completion": ("/v1/completions", {"model": "llava-tiny", "prompt": "A red", **GREEDY}),
    "message": ("/v1/messages", {**TEXT, "stream": False}),
    "streamed message": ("/v1/messages", {**TEXT, "stream": True}),
    "response": (
        "/v1/responses",
        {"model": "llava-tiny", "input": "What is it?", "max_output_tokens": 24, "temperature": 0},
    ),
    "tokenize": ("/tokenize", {"model": "llava-tiny", "messages": [IMAGE]}),
    "unknown model": ("/v1/chat/completions", {**TEXT, "model": "other"}),
    "wrong value": ("/v1/chat/completions", {**TEXT, "temperature": "warm"}),
    "unknown path": ("/v1/nothing", {}),
}


@pytest.fixture(scope="module")
def plain(replicas: Replicas) -> Iterator[str]:
    """Serve without replicas, with the same adapter; return the address."""
    with running_server(*OPTIONS, *replicas.adapters) as server:
        yield server.url


def ask(url: str, request: tuple[str, dict[str, Any]]) -> tuple[int, Any]:
    """Return the status, and the body or the events without ids, each run of text as one."""
    response = httpx.post(f"{url}{request[0]}", json=request[1], timeout=60)
    if response.headers["content-type"].startswith("text/event-stream"):
        data = (line.removeprefix("data: ") for line in response.text.splitlines())
        events = [without_ids(json.loads(each)) for each in data if each.startswith("{")]
        return response.status_code, join_text(events)
    return response.status_code, without_ids(response.json())


def join_text(events: list[Any]) -> list[Any]:
    """Join the text of neighbouring events: a busy server sends several tokens in one."""
    joined: list[Any] = []
    texts: list[str] = []
    for event in events:
        text, shape = take_text(event)
        if text and joined and joined[-1] == shape:
            texts[-1] += text
        else:
            joined.append(shape)
            texts.append(text)
    return list(zip(joined, texts, strict=True))


def take_text(event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return an event's text, and the event without it."""
    match event:
        case {"choices": [{"delta": {"content": str(text)} as delta} as choice]} if text:
            return text, {**event, "choices": [{**choice, "delta": {**delta, "content": ""}}]}
        case {"delta": {"type": "text_delta", "text": str(text)} as delta}:
            return text, {**event, "delta": {**delta, "text": ""}}
        case _:
            return "", event


def test_they_answer_like_one_server(replicas: Replicas, plain: str) -> None:
    for name, request in REQUESTS.items():
        expected = ask(plain, request)
        for _ in range(3):  # of either replica
            assert ask(replicas.url, request) == expected, name


def test_an_adapter_is_a_model(replicas: Replicas) -> None:
    texts = [
        ask(replicas.url, ("/v1/chat/completions", {**TEXT, "model": model}))[1]["choices"][0]
        for model in ("odd", "odd", "llava-tiny")
    ]
    assert texts[0] == texts[1] != texts[2]


def test_one_request_id_and_no_metrics_of_one_replica(replicas: Replicas) -> None:
    response = httpx.get(f"{replicas.url}/v1/models", headers={"x-request-id": "mine"})
    assert response.headers.get_list("x-request-id") == ["mine"]
    assert httpx.get(f"{replicas.url}/metrics").status_code == 404
    assert httpx.get(f"{replicas.url}/").text.startswith("<!")


def test_a_large_body_is_refused_by_the_server_itself(replicas: Replicas) -> None:
    response = httpx.post(
        f"{replicas.url}/v1/chat/completions", content=b"x" * (70 << 20), timeout=60
    )
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"


def test_the_client_is_named_not_the_proxy(replicas: Replicas) -> None:
    transport = httpx.HTTPTransport(local_address="127.0.0.9")
    with httpx.Client(transport=transport) as http:
        http.post(
            f"{replicas.url}/v1/chat/completions", json=TEXT, headers={"x-request-id": "nine"}
        )
    line = replicas.wait_for_line("nine")
    assert line["client"] == "127.0.0.9"
    assert line["replica"] in {each.name for each in replicas.wait()}
