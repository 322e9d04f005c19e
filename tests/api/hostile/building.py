"""Parts of hostile requests: messages, schemas, images, and what may answer them."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.api import bombs
from tests.api.pictures import circle_and_square, encoded, image_part, text_part, user

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
TOKENIZE = "/tokenize"
DETOKENIZE = "/detokenize"

MANY = 10_000_000
CONTEXT = "context_length_exceeded"
INVALID = "invalid_value"
JSON = "invalid_json"
UNSUPPORTED = "unsupported_parameter"


@dataclass(frozen=True, slots=True)
class Hostile:
    """A body for a path, and what may answer it: error codes, None for success."""

    path: str
    build: Callable[[], Any]
    codes: frozenset[str | None]


def hostile(path: str, build: Callable[[], Any], *codes: str | None) -> Hostile:
    """Return a hostile body."""
    return Hostile(path, build, frozenset(codes))


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    """Return a chat request, by default of one short message, for one token."""
    return {
        "model": "llava-tiny",
        "max_tokens": 1,
        "messages": list(messages) or [user("Hi")],
        **fields,
    }


def completion(prompt: Any, **fields: Any) -> dict[str, Any]:
    """Return a text completion request for one token."""
    return {"model": "llava-tiny", "max_tokens": 1, "prompt": prompt, **fields}


def response(items: Any, **fields: Any) -> dict[str, Any]:
    """Return a request for a response."""
    return {"model": "llava-tiny", "max_output_tokens": 16, "input": items, **fields}


def raw(request: Mapping[str, Any], name: str, value: bytes) -> bytes:
    """Return a request with one more field, whose value is not encoded."""
    return json.dumps(request).encode()[:-1] + b', "' + name.encode() + b'": ' + value + b"}"


def ask(*images: dict[str, Any]) -> dict[str, Any]:
    """Return a question about images."""
    return user(*images, text_part("What?"))


def tool(name: str = "f", **function: Any) -> dict[str, Any]:
    """Return a tool."""
    return {"type": "function", "function": {"name": name, **function}}


def called(arguments: str) -> list[dict[str, Any]]:
    """Return a conversation with a call of these arguments."""
    function = {"name": "f", "arguments": arguments}
    call = {"id": "c1", "type": "function", "function": function}
    return [
        user("Hi"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "yes"},
        user("And?"),
    ]


def schema_format(schema: Any) -> dict[str, Any]:
    """Return a response format."""
    return {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}


def deep_schema(depth: int) -> dict[str, Any]:
    """Return a schema of objects in objects."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def nested(depth: int) -> bytes:
    """Return arrays in arrays."""
    return b"[" * depth + b"]" * depth


def pasted_picture() -> str:
    """Return base64 of 3.75 million characters."""
    text = base64.b64encode(encoded(circle_and_square())).decode()
    return text * (3_750_000 // len(text))


def noise(num_bytes: int) -> bytes:
    """Return bytes that are no image."""
    return bytes(range(256)) * (num_bytes // 256)


def large_pictures() -> list[dict[str, Any]]:
    """Return 16 pictures of 25 megapixels each, the most that one request may hold."""
    shapes = [(5000 + number, 4990 - number) for number in range(16)]
    return [image_part(bombs.png(width, height)) for width, height in shapes]


WIDE = {f"key{number}": {"type": "string"} for number in range(30_000)}
PICTURE = encoded(circle_and_square(64, 64))
REFUSED_IMAGE = ("image_url_invalid", "image_format_unsupported", "image_too_large")
