"""Parses server-sent events of messages, and rebuilds a message from them as clients do."""

import json
from typing import Any

from server.protocol.messages.events import MessageStreamEvent


def read_events(stream: str) -> list[dict[str, Any]]:
    """Return all events of a complete stream, valid for the schema."""
    *events, rest = stream.split("\n\n")
    assert rest == ""
    return [_read_event(event) for event in events]


def _read_event(event: str) -> dict[str, Any]:
    name, data = event.split("\n")
    parsed: dict[str, Any] = json.loads(data.removeprefix("data: "))
    assert name == f"event: {parsed['type']}"
    assert data.isascii()
    MessageStreamEvent.model_validate(parsed, extra="forbid")
    return parsed


def list_event_types(events: list[dict[str, Any]]) -> list[str]:
    """Return the events' types, one for each run of deltas."""
    names = [event["type"] for event in events]
    return [name for index, name in enumerate(names) if names[index - 1 : index] != [name]]


def rebuild_message(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the message that the events add up to."""
    message: dict[str, Any] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append({**event["content_block"], "json": ""})
            case "content_block_delta":
                _append(message["content"][event["index"]], event["delta"])
            case "content_block_stop":
                _complete(message["content"][event["index"]])
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
    return message


def _append(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if delta["type"] == "text_delta":
        block["text"] += delta["text"]
    else:
        block["json"] += delta["partial_json"]


def _complete(block: dict[str, Any]) -> None:
    arguments = block.pop("json")
    if block["type"] == "tool_use":
        block["input"] = json.loads(arguments)
