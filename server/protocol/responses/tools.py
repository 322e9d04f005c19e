"""Tools and tool choices in the flat shape of the Responses API."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator
from pydantic_core import PydanticCustomError

from server.protocol.json_size import JsonObject
from server.protocol.tools import MAX_TOOLS, ToolMode, ToolName, select_tool_choice_branch
from server.protocol.wire import WireModel


class FunctionTool(WireModel):
    """A function; `parameters` is the JSON schema of its arguments object."""

    type: Literal["function"]
    name: ToolName
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None

    @field_validator("type", mode="before")
    @classmethod
    def _check_type(cls, value: Any) -> Any:
        if value != "function":
            raise PydanticCustomError(
                "tool_type", "This server has no tools of its own, only 'function' is supported"
            )
        return value


class FunctionChoice(WireModel):
    """`{"type": "function", "name": …}`: the model must call this function."""

    type: Literal["function"]
    name: ToolName


class AllowedFunctions(WireModel):
    """The subset of tools that the model may (`auto`) or must (`required`) call."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[FunctionChoice] = Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)


FlatToolChoice = Annotated[
    Annotated[ToolMode, Tag("#mode")]
    | Annotated[FunctionChoice, Tag("#function")]
    | Annotated[AllowedFunctions, Tag("#allowed_tools")],
    Discriminator(
        select_tool_choice_branch,
        custom_error_type="tool_choice",
        custom_error_message="Must be 'none', 'auto', 'required' or name functions",
    ),
]
