"""The tools that the model may call under a request's `tool_choice`."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.protocol.chat.request import ChatCompletionRequest
from server.protocol.json_size import count_json_characters
from server.protocol.tools import AllowedTools, Function, NamedTool, Tool
from server.tools.format import describe_tools


@dataclass(frozen=True, slots=True)
class CallableTools:
    """The tools that the model may call under the request's `tool_choice`.

    `required`: it must call at least one. `parallel`: it may make several calls. `named`: the
    client named the one function to call, so the model has no choice. `declared`: all tools of
    the request. `is_native`: calls come in the checkpoint's own format, and no grammar enforces it.
    """

    tools: Sequence[Tool]
    required: bool
    parallel: bool
    named: bool
    declared: Sequence[Tool]
    is_native: bool = False

    @property
    def functions(self) -> list[Function]:
        """The tools' functions."""
        return [tool.function for tool in self.tools]

    @property
    def num_characters(self) -> int:
        """The number of characters of the tools' names, descriptions and parameters."""
        return sum(
            len(each.name) + len(each.description or "") + count_json_characters(each.parameters)
            for each in self.functions
        )

    @property
    def description(self) -> str:
        """The system text about the tools, for models without a tool format of their own."""
        return describe_tools(self.functions, required=self.required, parallel=self.parallel)


def resolve_callable_tools(
    request: ChatCompletionRequest, *, has_native_format: bool = False
) -> CallableTools | None:
    """Return the tools that the model may call, None if there are none.

    `has_native_format`: the checkpoint has a tool call format of its own, used unless a call is
    required.
    """
    choice = request.tool_choice
    tools = list(request.tools or ())
    if not tools or choice == "none":
        return None
    required = choice == "required"
    if isinstance(choice, NamedTool):
        required = True
        tools = [each for each in tools if each.function.name == choice.function.name]
    elif isinstance(choice, AllowedTools):
        required = choice.allowed_tools.mode == "required"
        allowed = {tool.function.name for tool in choice.allowed_tools.tools}
        tools = [each for each in tools if each.function.name in allowed]
    named = isinstance(choice, NamedTool)
    parallel = request.parallel_tool_calls is not False and not named
    is_native = has_native_format and not required
    return CallableTools(tools, required, parallel, named, request.tools or (), is_native)
