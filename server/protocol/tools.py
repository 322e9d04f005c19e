"""Tools, tool choices and tool calls of a chat request."""

import json
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from server.protocol.json_size import JsonObject
from server.protocol.wire import MAX_NAME_LENGTH, CallId, WireModel, get_type

# OpenAI's limit on tools, and ours on calls in one message.
MAX_TOOLS: Final = 128
MAX_TOOL_CALLS: Final = 128

ToolName = Annotated[str, Field(max_length=128, pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]


class Function(WireModel):
    """A function; `parameters` is the JSON schema of its arguments object."""

    name: ToolName
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class Tool(WireModel):
    """`{"type": "function", "function": {…}}`."""

    type: Literal["function"]
    function: Function


class NamedFunction(WireModel):
    """The name of a function."""

    name: ToolName


class NamedTool(WireModel):
    """`{"type": "function", "function": {"name": …}}`: the model must call this function."""

    type: Literal["function"]
    function: NamedFunction


class AllowedToolsList(WireModel):
    """The subset of tools that the model may (`auto`) or must (`required`) call."""

    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)


class AllowedTools(WireModel):
    """`{"type": "allowed_tools", "allowed_tools": {…}}`."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedToolsList


ToolMode = Literal["none", "auto", "required"]


def select_tool_choice_branch(value: Any) -> str | None:
    """Return the union branch of a tool choice, of this API or the Responses API."""
    if isinstance(value, str):
        return "#mode" if value in ("none", "auto", "required") else None
    kind = get_type(value)
    return f"#{kind}" if kind in ("function", "allowed_tools") else None


ToolChoice = Annotated[
    Annotated[ToolMode, Tag("#mode")]
    | Annotated[NamedTool, Tag("#function")]
    | Annotated[AllowedTools, Tag("#allowed_tools")],
    Discriminator(
        select_tool_choice_branch,
        custom_error_type="tool_choice",
        custom_error_message="Must be 'none', 'auto', 'required' or name a function",
    ),
]


def _dump_arguments(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


# Some clients leave out what is empty, and some send the object itself.
ArgumentsText = Annotated[str, BeforeValidator(_dump_arguments)]


class CalledFunction(WireModel):
    """A function's name and its arguments as JSON text."""

    name: str = Field(max_length=MAX_NAME_LENGTH)
    arguments: ArgumentsText = ""


class ToolCall(WireModel):
    """A call by the model in an earlier turn."""

    id: CallId
    type: Literal["function"] = "function"
    function: CalledFunction
