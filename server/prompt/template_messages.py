"""Messages as chat templates get them: with markers in place of texts, images and videos."""

import json
from typing import Any

from server.prompt.text_markers import TextMarkers
from server.prompt.turns import Turn
from server.protocol.tools import ToolCall

Messages = list[dict[str, Any]]


def build_message(turn: Turn, markers: TextMarkers, *, as_parts: bool) -> dict[str, Any]:
    """Return a turn as a message, its content as parts or as a string."""
    content = _build_content(turn, markers, as_parts)
    message: dict[str, Any] = {"role": turn.role, "content": content}
    if turn.calls:
        message["tool_calls"] = [_build_call(call, markers) for call in turn.calls]
    if turn.call_id is not None:
        message |= {"tool_call_id": markers.mark_json(turn.call_id), "name": turn.name}
    return message


def _build_content(turn: Turn, markers: TextMarkers, as_parts: bool) -> Any:
    text = markers.mark_text(turn.text)
    if not as_parts:
        return "".join(f"{markers.media[modality]}\n" for modality in turn.media) + text
    media = [{"type": modality} for modality in turn.media]
    return [*media, {"type": "text", "text": text}]


def _build_call(call: ToolCall, markers: TextMarkers) -> dict[str, Any]:
    """Return a call with parsed arguments, as templates expect it."""
    try:
        arguments = markers.mark_json(json.loads(call.function.arguments))
    except (ValueError, RecursionError):
        arguments = markers.mark_json(call.function.arguments)
    function = {"name": markers.mark_json(call.function.name), "arguments": arguments}
    return {"id": markers.mark_json(call.id), "type": "function", "function": function}
