"""`x-llava-affinity` on the answers of all endpoints that generate."""

import base64
from typing import Any

import httpx
import openai
import pytest

from tests.api.pictures import circle_and_square, data_url, encoded, green_triangle, image_part
from tests.api.running import RunningServer
from tests.deploy.balancing import StandIn, balance
from tests.web import QuietHandler, serve_http

HEADER = "x-llava-affinity"
CIRCLE, TRIANGLE = encoded(circle_and_square()), encoded(green_triangle())


class CircleHandler(QuietHandler):
    """Serves the circle at every path."""

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CIRCLE)


def chat(*parts: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    """Return the path and the body of a chat."""
    messages = [{"role": "user", "content": list(parts)}]
    return "/v1/chat/completions", {"messages": messages, "max_tokens": 1, **fields}


def text(content: str = "What is this?") -> dict[str, Any]:
    return {"type": "text", "text": content}


def response(*, stream: bool) -> tuple[str, dict[str, Any]]:
    content = [
        {"type": "input_image", "image_url": data_url(CIRCLE)},
        {"type": "input_text", "text": "Color?"},
    ]
    body = {"input": [{"role": "user", "content": content}], "max_output_tokens": 16}
    return "/v1/responses", {**body, "stream": stream}


def message(*, stream: bool) -> tuple[str, dict[str, Any]]:
    data = base64.b64encode(CIRCLE).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "Shape?"}]
    body = {"messages": [{"role": "user", "content": content}], "max_tokens": 1}
    return "/v1/messages", {**body, "stream": stream}


def affinity(http: httpx.Client, path: str, body: dict[str, Any], sent: str | None = None) -> str:
    """Return the header of an answer."""
    headers = {} if sent is None else {HEADER: sent}
    answer = http.post(path, json={"model": "llava-tiny", **body}, headers=headers)
    assert answer.status_code == 200, answer.text
    (value,) = answer.headers.get_list(HEADER)
    return value


@pytest.mark.parametrize("stream", [False, True])
def test_every_endpoint_names_the_same_value_for_an_image(
    http: httpx.Client, *, stream: bool
) -> None:
    asked = chat(image_part(CIRCLE), text(), stream=stream)
    values = {
        affinity(http, *request)
        for request in (asked, response(stream=stream), message(stream=stream))
    }
    assert len(values) == 1
    other = affinity(http, *chat(image_part(TRIANGLE), text(), stream=stream))
    assert {other} != values
    assert affinity(http, *asked, sent="conversation-7") == "conversation-7"
    assert {affinity(http, *asked, sent="not so; well formed")} == values


def test_only_the_first_image_counts_wherever_it_comes_from(http: httpx.Client) -> None:
    value = affinity(http, *chat(image_part(CIRCLE), text()))
    assert affinity(http, *chat(image_part(CIRCLE), image_part(TRIANGLE), text())) == value
    with serve_http(CircleHandler) as url:
        assert affinity(http, *chat(image_part(f"{url}/circle.png"), text())) == value


def test_a_chat_without_images_keeps_its_value(http: httpx.Client) -> None:
    path, body = chat(text("Hello"))
    value = affinity(http, path, body)
    later = [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "And you?"}]
    assert affinity(http, path, {**body, "messages": body["messages"] + later}) == value
    assert affinity(http, *chat(text("Good evening"))) != value


@pytest.mark.parametrize("stream", [False, True])
def test_text_completions(http: httpx.Client, *, stream: bool) -> None:
    path, body = "/v1/completions", {"prompt": "A red", "max_tokens": 1, "stream": stream}
    assert affinity(http, path, body) == affinity(http, path, body)
    assert affinity(http, path, body, sent="mine") == "mine"


def test_openais_client_echoes_it(client: openai.OpenAI) -> None:
    """As docs/clients.md shows."""
    messages: list[Any] = [{"role": "user", "content": "Hello"}]
    first = client.chat.completions.with_raw_response.create(model="llava-tiny", messages=messages)
    named = {HEADER: first.headers[HEADER]}
    messages += [first.parse().choices[0].message, {"role": "user", "content": "And its color?"}]
    second = client.chat.completions.with_raw_response.create(
        model="llava-tiny", messages=messages, extra_headers=named
    )
    assert second.headers[HEADER] == named[HEADER]


def test_behind_haproxy(server: RunningServer) -> None:
    port = httpx.URL(server.url).port
    assert port is not None
    with balance([StandIn("one", port), StandIn("two", port)]) as balancer:
        asked = chat(image_part(CIRCLE), text("What color is the circle?"), stream=True)
        assert affinity(balancer.http, *asked, sent="mine") == "mine"
        whole = balancer.http.post(asked[0], json={**asked[1], "stream": False, "max_tokens": 8})
        assert whole.json()["choices"][0]["message"]["content"] == "red"
        assert balancer.http.get("/ready").json()["status"] == "ready"
        refused = balancer.http.post("/v1/messages", json={})
        assert refused.json()["request_id"] == refused.headers["x-request-id"]


def test_errors_carry_none(http: httpx.Client) -> None:
    path, body = chat(text(), model="nobody")
    refused = http.post(path, json=body, headers={HEADER: "mine"})
    assert refused.status_code == 404
    assert HEADER not in refused.headers
