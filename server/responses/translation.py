"""From a request for a response to a chat request, and back for the fields that errors name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from server.errors import ApiError
from server.protocol.chat.request import ChatCompletionRequest, check_combinations
from server.protocol.formats import JsonSchema, JsonSchemaFormat, ResponseFormat
from server.protocol.responses.request import ResponsesRequest, parse_responses_request
from server.protocol.responses.text import FlatJsonSchema, ResponseTextConfig
from server.protocol.responses.tools import AllowedFunctions, FlatToolChoice, FunctionChoice
from server.protocol.sampling import SamplingFields
from server.protocol.tools import (
    AllowedTools,
    AllowedToolsList,
    Function,
    NamedFunction,
    NamedTool,
    Tool,
    ToolChoice,
)
from server.responses.messages import translate_input


@dataclass(frozen=True, slots=True)
class TranslatedRequest:
    """A request, the chat request that asks for the same, and where its messages come from."""

    request: ResponsesRequest
    chat: ChatCompletionRequest
    origins: Sequence[str]

    def explain(self, error: ApiError) -> ApiError:
        """Return an error about the chat request as one about the request."""
        return error if error.param is None else error.at(self._named(error.param))

    def _named(self, param: str) -> str:
        if message := re.fullmatch(r"messages\[(\d+)\](.*)", param):
            origin, within = self.origins[int(message[1])], message[2]
            # Of a bare string there is nothing smaller to name.
            return origin + _within_item(within) if origin.endswith("]") else origin
        if param == "messages":
            return "input"
        param = re.sub(r"^response_format(\.json_schema)?", "text.format", param)
        return re.sub(r"^(tools\[\d+\])\.function", r"\1", param)


def parse_and_translate(body: bytes | bytearray) -> TranslatedRequest:
    """Parse and check a body. Raises `InvalidJson`, `InvalidValue` or `UnsupportedParameter`."""
    translated = translate(parse_responses_request(body))
    try:
        check_combinations(translated.chat)
    except ApiError as error:
        raise translated.explain(error) from None
    return translated


def translate(request: ResponsesRequest) -> TranslatedRequest:
    """Return what the pipeline is to be asked."""
    messages = translate_input(request)
    sampling = {name: getattr(request, name) for name in SamplingFields.model_fields}
    chat = ChatCompletionRequest(
        **sampling,
        model=request.model,
        messages=messages.messages,
        max_completion_tokens=request.max_output_tokens,
        stream=request.stream,
        logprobs=request.wants_logprobs,
        top_logprobs=request.top_logprobs if request.wants_logprobs else None,
        response_format=_format(request.text),
        tools=_tools(request),
        tool_choice=_tool_choice(request.tool_choice),
        parallel_tool_calls=request.parallel_tool_calls,
    )
    return TranslatedRequest(request, chat, messages.origins)


def _within_item(path: str) -> str:
    return path.removesuffix(".url").replace(".tool_call_id", ".call_id")


def _format(text: ResponseTextConfig | None) -> ResponseFormat | None:
    wanted = text.format if text is not None else None
    if not isinstance(wanted, FlatJsonSchema):
        return wanted
    schema = JsonSchema(
        name=wanted.name,
        description=wanted.description,
        schema=wanted.schema_,
        strict=wanted.strict,
    )
    return JsonSchemaFormat(type="json_schema", json_schema=schema)


def _tools(request: ResponsesRequest) -> list[Tool] | None:
    if request.tools is None:
        return None
    return [
        Tool(
            type="function",
            function=Function(
                name=tool.name,
                description=tool.description,
                parameters=tool.parameters,
                strict=tool.strict,
            ),
        )
        for tool in request.tools
    ]


def _tool_choice(choice: FlatToolChoice | None) -> ToolChoice | None:
    if isinstance(choice, FunctionChoice):
        return _named(choice)
    if isinstance(choice, AllowedFunctions):
        tools = AllowedToolsList(mode=choice.mode, tools=[_named(tool) for tool in choice.tools])
        return AllowedTools(type="allowed_tools", allowed_tools=tools)
    return choice


def _named(choice: FunctionChoice) -> NamedTool:
    return NamedTool(type="function", function=NamedFunction(name=choice.name))
