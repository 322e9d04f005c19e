"""Parses server-sent events of responses with OpenAI's own types."""

import json
from collections.abc import Iterable
from typing import Any

from openai.types.responses import ResponseStreamEvent as OpenAIsEvent
from pydantic import TypeAdapter

from server.protocol.responses.events import ResponseStreamEvent

OPENAIS: TypeAdapter[Any] = TypeAdapter(OpenAIsEvent)

# The order that clients rely on: https://platform.openai.com/docs/api-reference/responses-streaming
BEGIN = ["response.created", "response.in_progress"]
MESSAGE_BEGIN = ["response.output_item.added", "response.content_part.added"]
MESSAGE_END = [
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
]


def read_event(event: str) -> dict[str, Any]:
    """Return an event's data, valid for OpenAI's schema and ours."""
    name, data = event.split("\n")
    parsed: dict[str, Any] = json.loads(data.removeprefix("data: "))
    assert name == f"event: {parsed['type']}"
    assert data.isascii()
    ResponseStreamEvent.model_validate(parsed, extra="forbid")
    OPENAIS.validate_python(parsed)
    return parsed


def read_events(stream: str) -> list[dict[str, Any]]:
    """Return all events of a complete stream; their sequence numbers have no gaps."""
    *events, rest = stream.split("\n\n")
    assert rest == ""
    parsed = [read_event(event) for event in events]
    assert [event["sequence_number"] for event in parsed] == list(range(len(parsed)))
    return parsed


def list_event_types(events: Iterable[dict[str, Any]]) -> list[str]:
    """Return the events' types, one for each run of deltas."""
    names = [event["type"] for event in events]
    return [
        name
        for index, name in enumerate(names)
        if not (name.endswith(".delta") and index and names[index - 1] == name)
    ]


def rebuild_output(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Build the output as a client does, from items added and deltas only."""
    items: list[dict[str, Any]] = []
    for event in events:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert event["output_index"] == len(items)
            items.append(event["item"])
        elif kind == "response.content_part.added":
            items[event["output_index"]]["content"].append(event["part"])
        elif kind == "response.output_text.delta":
            part = items[event["output_index"]]["content"][event["content_index"]]
            assert items[event["output_index"]]["id"] == event["item_id"]
            part["text"] += event["delta"]
            part["logprobs"] += event["logprobs"]
        elif kind == "response.function_call_arguments.delta":
            assert items[event["output_index"]]["id"] == event["item_id"]
            items[event["output_index"]]["arguments"] += event["delta"]
        elif kind == "response.output_item.done":
            items[event["output_index"]]["status"] = event["item"]["status"]
            assert items[event["output_index"]] == event["item"]
    return items
