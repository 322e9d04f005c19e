"""Requests to the Responses API, and its responses and events, validated."""

from typing import Any

import httpx
from openai.types.responses import Response
from PIL import Image

from server.protocol.responses.response import ResponseObject
from tests.api.pictures import circle_and_square, data_url, encoded
from tests.server.responses.reading import (
    read_events,
)

PATH = "/v1/responses"


PICTURE = encoded(circle_and_square())


COLOR = "What color is the circle?"


DESCRIBE = "Describe the image."


def image(picture: Image.Image | bytes | str = PICTURE) -> dict[str, Any]:
    """Return an image part."""
    if isinstance(picture, Image.Image):
        picture = encoded(picture)
    url = picture if isinstance(picture, str) else data_url(picture)
    return {"type": "input_image", "image_url": url, "detail": "auto"}


def text(content: str) -> dict[str, Any]:
    """Return a text part."""
    return {"type": "input_text", "text": content}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    """Return a user's message."""
    return {"role": "user", "content": list(parts)}


def body(body_input: Any, **more: Any) -> dict[str, Any]:
    """Return a request body for the embedded model."""
    return {"model": "llava-tiny", "input": body_input, **more}


def image_request(content: str, **more: Any) -> dict[str, Any]:
    """Return a request with the image of the circle and the square."""
    return body([user(image(), text(content))], **more)


def create_response(http: httpx.Client, request: dict[str, Any]) -> dict[str, Any]:
    """Return a response, valid for OpenAI's schema and ours."""
    response = http.post(PATH, json=request)
    assert response.status_code == 200, response.text
    parsed: dict[str, Any] = response.json()
    ResponseObject.model_validate(parsed, extra="forbid")
    Response.model_validate(parsed)
    return parsed


def stream_response(http: httpx.Client, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a stream_response response."""
    response = http.post(PATH, json=request | {"stream": True})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    return read_events(response.text)
