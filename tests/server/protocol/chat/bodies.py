"""Bodies of chat requests, and the errors that refuse them."""

import json
from typing import Any

import pytest

from server.errors import ApiError
from server.protocol.chat.request import (
    parse_chat_request,
)

SECRET = "hunter2"


def text(content: str = "hi") -> dict[str, Any]:
    """Return a text part."""
    return {"type": "text", "text": content}


def image(url: Any = "https://example.org/cat.png", **more: Any) -> dict[str, Any]:
    """Return an image part."""
    return {"type": "image_url", "image_url": {"url": url, **more}}


def body(**changes: Any) -> bytes:
    """Return a minimal valid body with some fields changed."""
    fields = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **changes}
    return json.dumps(fields).encode()


def one_message(role: str, content: Any, **more: Any) -> dict[str, Any]:
    """Return the change that makes a conversation of one_message message."""
    return {"messages": [{"role": role, "content": content, **more}]}


def parse_refused(raw: bytes) -> ApiError:
    """Return the error of parsing a body."""
    with pytest.raises(ApiError) as caught:
        parse_chat_request(raw)
    return caught.value


def schema_format(schema: Any, **changes: Any) -> dict[str, Any]:
    """Return a `response_format`."""
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, **changes}}


def tool(name: Any, **changes: Any) -> dict[str, Any]:
    """Return a tool."""
    return {"type": "function", "function": {"name": name, **changes}}


def call(call_id: str = "c1", **changes: Any) -> dict[str, Any]:
    """Return a tool call."""
    function = {"name": "f", "arguments": "{}"}
    return {"id": call_id, "type": "function", "function": function, **changes}
