"""The requests of a soak: every endpoint, good and bad, with images, tools and schemas."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pybase64

from benchmarks.images import PngImages
from benchmarks.soak.image_host import ImageHost
from benchmarks.systems import MODEL_NAME

CHAT: Final = "/v1/chat/completions"
MAX_TOKENS: Final = 16
LONG: Final = 400
REPEATED_IMAGES: Final = 8
SUBJECTS: Final = ("the picture", "the colors", "the left side", "a red circle", "the weather")
SCHEMA: Final = {
    "type": "object",
    "properties": {"color": {"enum": ["red", "green", "blue"]}, "count": {"type": "integer"}},
    "required": ["color", "count"],
    "additionalProperties": False,
}
PARAMETERS: Final = {"type": "object", "properties": {"city": {"type": "string"}}}
BAD_BODIES: Final[tuple[dict[str, Any], ...]] = (
    {"messages": "none"},
    {"messages": []},
    {"messages": [{"role": "user", "content": "Hi"}], "n": 0},
    {"messages": [{"role": "user", "content": "Hi"}], "response_format": {"type": "poem"}},
    {"messages": [{"role": "user", "content": "Hi"}], "temperature": "warm"},
)


@dataclass(frozen=True, slots=True)
class SoakRequest:
    """One request and how its client behaves."""

    kind: str
    path: str
    body: dict[str, Any]
    streams: bool = False
    aborts: bool = False
    reads_slowly: bool = False
    is_bad: bool = False
    may_fail: bool = False  # because of a fault on the schedule


class RequestFactory:
    """Draws requests by the weights of their kinds; a seed always gives the same requests."""

    def __init__(self, seed: int, images: PngImages, host: ImageHost) -> None:
        self._random = random.Random(seed)  # noqa: S311 - draws load
        self._images = images
        self._host = host
        self._numbers = itertools.count(REPEATED_IMAGES + seed * 10_000_000)
        self._kinds: dict[str, tuple[int, Callable[[str], SoakRequest]]] = {
            "chat, text": (18, self._build_text),
            "chat, stream": (14, self._build_stream),
            "chat, new image": (14, self._build_new_image),
            "chat, repeated image": (10, self._build_repeated_image),
            "chat, image by URL": (8, self.build_hosted_image),
            "chat, tool call": (5, self._build_tool_call),
            "chat, JSON schema": (5, self.build_schema),
            "chat, aborted": (5, self._build_aborted),
            "chat, slow reader": (2, self._build_slow_reader),
            "completions": (6, self._build_completion),
            "responses": (6, self._build_response),
            "messages": (6, self._build_message),
            "tokenize": (4, self._build_tokenize),
            "bad input": (6, self._build_bad),
            "damaged image": (3, self._build_damaged_image),
        }

    def draw(self) -> SoakRequest:
        """Draw the next request."""
        kinds = list(self._kinds)
        weights = [weight for weight, _ in self._kinds.values()]
        (kind,) = self._random.choices(kinds, weights)
        return self._kinds[kind][1](kind)

    def build_text(self) -> SoakRequest:
        """Return a request that needs only the engine."""
        return self._build_text("chat, text")

    def build_image(self) -> SoakRequest:
        """Return a request about an image that no cache knows."""
        return self._build_new_image("chat, new image")

    def build_hosted_image(self, kind: str = "chat, image by URL") -> SoakRequest:
        """Return a request about an image that the server has to fetch."""
        url = f"{self._host.url}/{next(self._numbers)}.png"
        return SoakRequest(kind, CHAT, self._build_image_body(url), may_fail=True)

    def build_schema(self, kind: str = "chat, JSON schema") -> SoakRequest:
        """Return a request with a schema that no cache knows."""
        schema = SCHEMA | {"title": f"number {next(self._numbers)}"}
        json_schema = {"name": "answer", "schema": schema}
        form = {"type": "json_schema", "json_schema": json_schema}
        return SoakRequest(kind, CHAT, self._build_body(response_format=form, max_tokens=40))

    def _build_text(self, kind: str) -> SoakRequest:
        return SoakRequest(kind, CHAT, self._build_body())

    def _build_stream(self, kind: str) -> SoakRequest:
        return SoakRequest(kind, CHAT, self._build_body(stream=True), streams=True)

    def _build_new_image(self, kind: str) -> SoakRequest:
        return SoakRequest(kind, CHAT, self._build_image_body(self._encode(next(self._numbers))))

    def _build_repeated_image(self, kind: str) -> SoakRequest:
        number = self._random.randrange(REPEATED_IMAGES)
        return SoakRequest(kind, CHAT, self._build_image_body(self._encode(number)))

    def _build_tool_call(self, kind: str) -> SoakRequest:
        function = {"name": "get_weather", "parameters": PARAMETERS}
        tools = [{"type": "function", "function": function}]
        return SoakRequest(kind, CHAT, self._build_body(tools=tools, tool_choice="required"))

    def _build_aborted(self, kind: str) -> SoakRequest:
        body = self._build_body(stream=True, max_tokens=LONG, ignore_eos=True)
        return SoakRequest(kind, CHAT, body, streams=True, aborts=True)

    def _build_slow_reader(self, kind: str) -> SoakRequest:
        body = self._build_body(stream=True, max_tokens=LONG, ignore_eos=True)
        return SoakRequest(kind, CHAT, body, streams=True, reads_slowly=True)

    def _build_completion(self, kind: str) -> SoakRequest:
        body = {"model": MODEL_NAME, "prompt": self._draw_text(), "max_tokens": MAX_TOKENS}
        return SoakRequest(kind, "/v1/completions", body)

    def _build_response(self, kind: str) -> SoakRequest:
        body = {"model": MODEL_NAME, "input": self._draw_text(), "max_output_tokens": MAX_TOKENS}
        return SoakRequest(kind, "/v1/responses", body)

    def _build_message(self, kind: str) -> SoakRequest:
        return SoakRequest(kind, "/v1/messages", self._build_body())

    def _build_tokenize(self, kind: str) -> SoakRequest:
        return SoakRequest(kind, "/tokenize", {"model": MODEL_NAME, "prompt": self._draw_text()})

    def _build_bad(self, kind: str) -> SoakRequest:
        body = {"model": MODEL_NAME} | self._random.choice(BAD_BODIES)
        return SoakRequest(kind, CHAT, body, is_bad=True)

    def _build_damaged_image(self, kind: str) -> SoakRequest:
        image = self._images.build(next(self._numbers))
        url = _encode_data_url(image[: self._random.randrange(100, len(image) // 2)])
        return SoakRequest(kind, CHAT, self._build_image_body(url), is_bad=True)

    def _build_body(self, **options: Any) -> dict[str, Any]:
        messages = [{"role": "user", "content": self._draw_text()}]
        return {"model": MODEL_NAME, "messages": messages, "max_tokens": MAX_TOKENS} | options

    def _build_image_body(self, url: str) -> dict[str, Any]:
        image = {"type": "image_url", "image_url": {"url": url}}
        text = {"type": "text", "text": self._draw_text()}
        return self._build_body(messages=[{"role": "user", "content": [image, text]}])

    def _encode(self, number: int) -> str:
        return _encode_data_url(self._images.build(number))

    def _draw_text(self) -> str:
        number = self._random.randrange(10_000)
        return f"Describe {self._random.choice(SUBJECTS)}, number {number}."


def _encode_data_url(image: bytes) -> str:
    return f"data:image/png;base64,{pybase64.b64encode(image).decode()}"
