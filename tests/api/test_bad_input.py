"""Every bad request gets its status, OpenAI's error shape, and the name of the field at fault."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from server.protocol.errors import ErrorResponse
from tests.api.limits import MAX_BODY_MIB, MAX_IMAGE_MIB, MAX_IMAGES
from tests.api.pictures import (
    body,
    circle_and_square,
    data_url,
    encoded,
    green_triangle,
    image_part,
    text_part,
    user,
)
from tests.api.running import RunningServer
from tests.web import QuietHandler, serve_http

PICTURE = encoded(circle_and_square())
URL = "messages[0].content[0].image_url.url"


def with_image(image: bytes | str) -> dict[str, Any]:
    return body(user(image_part(image), text_part("What is this?")))


def without(field: str) -> dict[str, Any]:
    request = body(user("Hello"))
    del request[field]
    return request


BAD: dict[str, tuple[Any, int, str, str | None]] = {
    "malformed JSON": (b'{"model": ', 400, "invalid_json", None),
    "not UTF-8": (b'{"model": "\xff"}', 400, "invalid_json", None),
    "empty": (b"", 400, "invalid_json", None),
    "not an object": (b"[]", 400, "invalid_value", None),
    "no messages": (without("messages"), 400, "invalid_value", "messages"),
    "no turns": (body(), 400, "invalid_value", "messages"),
    "unknown model": ({**body(user("Hi")), "model": "gpt-4o"}, 404, "model_not_found", "model"),
    "temperature as text": (body(user("Hi"), temperature="0"), 400, "invalid_value", "temperature"),
    "temperature too high": (body(user("Hi"), temperature=9), 400, "invalid_value", "temperature"),
    "no tokens": (body(user("Hi"), max_tokens=0), 400, "invalid_value", "max_tokens"),
    "top_p of 0": (body(user("Hi"), top_p=0), 400, "invalid_value", "top_p"),
    "stream as text": (body(user("Hi"), stream="yes"), 400, "invalid_value", "stream"),
    "five stops": (body(user("Hi"), stop=list("abcde")), 400, "invalid_value", "stop"),
    "seed out of range": (body(user("Hi"), seed=2**70), 400, "invalid_value", "seed"),
    "options without a stream": (
        body(user("Hi"), stream_options={"include_usage": True}),
        400,
        "invalid_value",
        "stream_options",
    ),
    "unknown field": (body(user("Hi"), temprature=1), 400, "unsupported_parameter", "temprature"),
    "too many answers": (body(user("Hi"), n=129), 400, "invalid_value", "n"),
    "a tool of another type": (
        body(user("Hi"), tools=[{"type": "web_search"}]),
        400,
        "invalid_value",
        "tools[0].type",
    ),
    "unknown role": (
        body({"role": "robot", "content": "Hi"}),
        400,
        "invalid_value",
        "messages[0].role",
    ),
    "content a number": (
        body({"role": "user", "content": 3}),
        400,
        "invalid_value",
        "messages[0].content",
    ),
    "no content": (body({"role": "user"}), 400, "invalid_value", "messages[0]"),
    "unknown part": (
        body(user({"type": "input_audio", "input_audio": {}})),
        400,
        "invalid_value",
        "messages[0].content[0]",
    ),
    "image URL a number": (
        body(user({"type": "image_url", "image_url": 5})),
        400,
        "invalid_value",
        "messages[0].content[0].image_url",
    ),
    "image from the assistant": (
        body({"role": "assistant", "content": [image_part(PICTURE)]}, user("Hi")),
        400,
        "invalid_value",
        "messages[0]",
    ),
    "unknown scheme": (with_image("ftp://host/a.png"), 400, "image_url_invalid", URL),
    "file URL": (with_image("file:///etc/passwd"), 400, "image_url_forbidden", URL),
    "broken base64": (
        with_image("data:image/png;base64,@@@@"),
        400,
        "image_url_invalid",
        URL,
    ),
    "data URL without base64": (with_image("data:image/png,abc"), 400, "image_url_invalid", URL),
    "not an image": (with_image(b"Hello, world"), 400, "image_format_unsupported", URL),
    "an empty image": (with_image(b""), 400, "image_url_invalid", URL),
    "truncated image": (with_image(PICTURE[: len(PICTURE) // 2]), 400, "image_corrupt", URL),
    "truncated JPEG": (
        with_image(encoded(circle_and_square(), "JPEG")[:-900]),
        400,
        "image_corrupt",
        URL,
    ),
    "an unsupported format": (
        with_image(encoded(green_triangle(), "PDF")),
        400,
        "image_format_unsupported",
        URL,
    ),
    "too many pixels": (
        with_image(encoded(Image.new("1", (20_000, 2_000)))),
        400,
        "image_too_large",
        URL,
    ),
    "too many bytes": (with_image(bytes(MAX_IMAGE_MIB * 2**20 + 1)), 400, "image_too_large", URL),
    "too many images": (
        body(user(*[image_part(PICTURE)] * (MAX_IMAGES + 1), text_part("Hi"))),
        400,
        "too_many_images",
        f"messages[0].content[{MAX_IMAGES}].image_url.url",
    ),
    "a prompt beyond the context": (
        body(user("circle " * 4000)),
        400,
        "context_length_exceeded",
        "messages",
    ),
    "a body too large": (
        b'{"model": "' + b"x" * (MAX_BODY_MIB * 2**20) + b'"}',
        413,
        "request_too_large",
        None,
    ),
}


def check(response: httpx.Response, status: int, code: str, param: str | None) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    ErrorResponse.model_validate(response.json())
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    assert error["message"]
    assert "Traceback" not in response.text
    assert "/server/" not in response.text


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_are_named(http: httpx.Client, case: str) -> None:
    request, status, code, param = BAD[case]
    content = request if isinstance(request, bytes) else json.dumps(request)
    check(http.post("/v1/chat/completions", content=content), status, code, param)


def test_errors_come_before_the_stream(http: httpx.Client) -> None:
    request = {**with_image(b"Hello, world"), "stream": True}
    response = http.post("/v1/chat/completions", json=request)
    check(response, 400, "image_format_unsupported", URL)


def test_the_faulty_image_is_named_among_others(http: httpx.Client) -> None:
    parts = [image_part(PICTURE), text_part("a"), image_part(b"junk")]
    response = http.post("/v1/chat/completions", json=body(user(*parts)))
    check(response, 400, "image_format_unsupported", "messages[0].content[2].image_url.url")


def test_a_long_prompt_is_told_both_numbers(http: httpx.Client) -> None:
    response = http.post("/v1/chat/completions", json=BAD["a prompt beyond the context"][0])
    numbers = [int(word) for word in response.json()["error"]["message"].split() if word.isdigit()]
    assert len(numbers) == 2
    assert numbers[0] > numbers[1] == 2048


def test_a_chunked_body_is_limited_too(http: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(MAX_BODY_MIB + 1):
            yield bytes(2**20)

    response = http.post("/v1/chat/completions", content=chunks())
    check(response, 413, "request_too_large", None)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/metrics", 405, "method_not_allowed"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/", 405, "method_not_allowed"),
    ],
)
def test_wrong_paths_and_methods(
    http: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    check(http.request(method, path), status, code, None)


class Pictures(QuietHandler):
    """A web server with one picture, a loop and a dead end."""

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        if self.path == "/picture.png":
            self.send_response(200)
            self.send_header("content-length", str(len(PICTURE)))
            self.end_headers()
            self.wfile.write(PICTURE)
        elif self.path == "/loop":
            self.send_response(302)
            self.send_header("location", "/loop")
            self.end_headers()
        else:
            self.send_error(404)


@pytest.fixture(scope="module")
def website() -> Iterator[str]:
    with serve_http(Pictures) as url:
        yield url


def test_an_image_by_url(http: httpx.Client, website: str) -> None:
    question = text_part("What color is the circle?")
    request = body(user(image_part(f"{website}/picture.png"), question))
    response = http.post("/v1/chat/completions", json=request)
    assert response.json()["choices"][0]["message"]["content"] == "red"


@pytest.mark.parametrize("path", ["/nothing", "/loop"])
def test_a_url_without_an_image(http: httpx.Client, website: str, path: str) -> None:
    response = http.post("/v1/chat/completions", json=with_image(website + path))
    check(response, 400, "image_fetch_failed", URL)


def test_a_url_that_nobody_serves(http: httpx.Client) -> None:
    response = http.post("/v1/chat/completions", json=with_image("http://127.0.0.1:9/a.png"))
    check(response, 400, "image_fetch_failed", URL)


def test_bad_requests_leave_the_server_well(server: RunningServer, http: httpx.Client) -> None:
    for request, *_ in BAD.values():
        content = request if isinstance(request, bytes) else json.dumps(request)
        http.post("/v1/chat/completions", content=content)
    request = body(user(image_part(data_url(PICTURE)), text_part("What color is the circle?")))
    answer = http.post("/v1/chat/completions", json=request).json()
    assert answer["choices"][0]["message"]["content"] == "red"
    assert http.get("/ready").status_code == 200
    assert not [line for line in server.log if "Traceback" in line]
