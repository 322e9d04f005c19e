"""Tools and tool choices."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, field_validator
from pydantic_core import PydanticCustomError

from server.protocol.json_size import JsonObject
from server.protocol.tools import ToolName
from server.protocol.wire import WireModel, select_type_branch


class CustomTool(WireModel):
    """A tool that the client runs; `input_schema` is the JSON schema of its arguments object."""

    type: Literal["custom"] | None = None
    name: ToolName
    description: str | None = None
    input_schema: JsonObject
    strict: bool | None = None

    @field_validator("type", mode="before")
    @classmethod
    def _check_type(cls, value: Any) -> Any:
        if value not in (None, "custom"):
            raise PydanticCustomError(
                "tool_type", "This server has no tools of its own, only 'custom' is supported"
            )
        return value


class AutoChoice(WireModel):
    """The model may call tools."""

    type: Literal["auto"]
    disable_parallel_tool_use: bool | None = None


class AnyChoice(WireModel):
    """The model must call a tool."""

    type: Literal["any"]
    disable_parallel_tool_use: bool | None = None


class NamedChoice(WireModel):
    """The model must call this tool."""

    type: Literal["tool"]
    name: ToolName
    disable_parallel_tool_use: bool | None = None


class NoChoice(WireModel):
    """The model must not call tools."""

    type: Literal["none"]
    disable_parallel_tool_use: bool | None = None


AnthropicToolChoice = Annotated[
    Annotated[AutoChoice, Tag("#auto")]
    | Annotated[AnyChoice, Tag("#any")]
    | Annotated[NamedChoice, Tag("#tool")]
    | Annotated[NoChoice, Tag("#none")],
    Discriminator(
        select_type_branch,
        custom_error_type="tool_choice",
        custom_error_message="Must be an object of type 'auto', 'any', 'tool' or 'none'",
    ),
]
