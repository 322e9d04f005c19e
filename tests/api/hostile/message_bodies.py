"""Hostile bodies of Anthropic's Messages API."""

import json
from typing import Any

from tests.api.hostile.building import (
    COUNT,
    MANY,
    MESSAGES,
    WIDE,
    deep_schema,
    hostile,
    nested,
    raw,
)

REFUSED = "invalid_request_error"


def ask(*blocks: Any, **fields: Any) -> dict[str, Any]:
    """Return a request for one token."""
    content = list(blocks) or "Hi"
    message = {"role": "user", "content": content}
    return {"model": "llava-tiny", "max_tokens": 1, "messages": [message], **fields}


def image(data: str) -> dict[str, Any]:
    """Return an image block."""
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def text(content: str) -> dict[str, Any]:
    """Return a text block."""
    return {"type": "text", "text": content}


def result(content: Any) -> dict[str, Any]:
    """Return the result of a call."""
    return {"type": "tool_result", "tool_use_id": "c", "content": content}


def called(arguments: Any) -> list[dict[str, Any]]:
    """Return messages with a call of these arguments."""
    call = {"type": "tool_use", "id": "c", "name": "f", "input": arguments}
    return [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result("yes")]},
    ]


MESSAGE_BODIES = {
    "words": hostile(MESSAGES, lambda: ask(text("word " * (MANY // 5))), REFUSED),
    "words to count": hostile(COUNT, lambda: ask(text("word " * (MANY // 5))), REFUSED),
    "a system text": hostile(MESSAGES, lambda: ask(system="word " * (MANY // 5)), REFUSED),
    "a result": hostile(
        MESSAGES,
        lambda: ask(messages=[*called({})[:2], {"role": "user", "content": [result("a " * MANY)]}]),
        REFUSED,
    ),
    "arguments": hostile(MESSAGES, lambda: ask(messages=called({"a": "b" * MANY})), REFUSED),
    "deep arguments": hostile(MESSAGES, lambda: raw(ask(), "messages", nested(10_000)), REFUSED),
    "blocks": hostile(MESSAGES, lambda: ask(*[text("")] * 30_000), REFUSED),
    "numbers as blocks": hostile(MESSAGES, lambda: ask(*[1] * 250_000), REFUSED),
    "results": hostile(MESSAGES, lambda: ask(*[result("a")] * 30_000), REFUSED),
    "messages": hostile(
        COUNT, lambda: ask(messages=[{"role": "user", "content": "Hi"}] * 30_000), REFUSED
    ),
    "calls": hostile(
        MESSAGES,
        lambda: ask(messages=[{**called({})[1], "content": called({})[1]["content"] * 15_000}]),
        REFUSED,
    ),
    "images": hostile(MESSAGES, lambda: ask(*[image("AAAA")] * 15_000), REFUSED),
    "a picture of no format": hostile(MESSAGES, lambda: ask(image("A" * 4 * MANY)), REFUSED),
    "a source": hostile(
        MESSAGES,
        lambda: ask({"type": "image", "source": {"type": "url", "url": "h" * MANY}}),
        REFUSED,
    ),
    "stop sequences": hostile(MESSAGES, lambda: ask(stop_sequences=["a"] * 200_000), REFUSED),
    "tools": hostile(
        MESSAGES,
        lambda: ask(tools=[{"name": f"f{n}", "input_schema": {}} for n in range(10_000)]),
        REFUSED,
    ),
    "a wide schema": hostile(
        MESSAGES,
        lambda: ask(
            tools=[{"name": "f", "input_schema": {"type": "object", "properties": WIDE}}],
            tool_choice={"type": "any"},
        ),
        REFUSED,
    ),
    "a deep schema": hostile(
        MESSAGES,
        lambda: ask(tools=[{"name": "f", "input_schema": deep_schema(60)}]),
        None,
        REFUSED,
    ),
    "names": hostile(
        MESSAGES,
        lambda: ask(
            messages=[{"role": "r" * MANY, "content": [{"type": "t" * MANY}]}], model="m" * MANY
        ),
        REFUSED,
    ),
    "a million digits": hostile(
        MESSAGES, lambda: raw(ask(), "max_tokens", b"9" * 1_000_000), REFUSED
    ),
    "metadata": hostile(
        MESSAGES, lambda: json.dumps(ask(metadata={"k" * MANY: "v"})).encode(), None
    ),
}
