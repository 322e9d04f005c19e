"""Functions that a response may call, in the flat shape of the Responses API."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator
from pydantic_core import PydanticCustomError

from server.protocol.tools import ToolMode, ToolName, select_tool_choice_branch
from server.protocol.wire import WireModel


class FunctionTool(WireModel):
    """A function: `parameters` is the JSON schema of its one argument, an object."""

    type: Literal["function"]
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    @field_validator("type", mode="before")
    @classmethod
    def _is_function(cls, value: Any) -> Any:
        if value != "function":
            raise PydanticCustomError(
                "tool_type", "This server has no tools of its own, only 'function' is supported"
            )
        return value


class FunctionChoice(WireModel):
    """`{"type": "function", "name": …}`: this one must be called."""

    type: Literal["function"]
    name: ToolName


class AllowedFunctions(WireModel):
    """Which of the tools may (`auto`) or must (`required`) be called."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[FunctionChoice] = Field(min_length=1)


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
