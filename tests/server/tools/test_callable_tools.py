"""The tools that the model may call, and their description."""

import json
from typing import Any

from server.protocol.chat.request import ChatCompletionRequest, parse_chat_request
from server.tools.callable_tools import resolve_callable_tools

PARAMETERS = {"type": "object", "properties": {"x": {"type": "integer"}}}
TOOLS = [
    {"type": "function", "function": {"name": "f"}},
    {"type": "function", "function": {"name": "g", "parameters": PARAMETERS}},
]
CHOICE = {"type": "function", "function": {"name": "g"}}


def build_request(**fields: Any) -> ChatCompletionRequest:
    """Return a request with some fields."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return parse_chat_request(json.dumps(body).encode())


def test_descriptions_of_tools() -> None:
    fields = {
        "tools": TOOLS,
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [CHOICE]},
        },
        "parallel_tool_calls": False,
    }
    calls = resolve_callable_tools(build_request(**fields))
    assert calls is not None
    assert '{"name": "g", "parameters": {' in calls.description
    assert '"f"' not in calls.description
    assert "answer directly" in calls.description
    assert "one call at a time" in calls.description
    forced = resolve_callable_tools(build_request(tools=TOOLS, tool_choice="required"))
    assert forced is not None
    assert "answer directly" not in forced.description
