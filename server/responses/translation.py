"""Translates a Responses request into a chat request, and the `param` of errors back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from server.errors import ApiError
from server.protocol.chat.request import ChatCompletionRequest, check_field_combinations
from server.protocol.formats import JsonSchema, JsonSchemaFormat, ResponseFormat
from server.protocol.policy import STRICT, RequestPolicy
from server.protocol.responses.request import ResponsesRequest, parse_responses_request
from server.protocol.responses.text import ResponseJsonSchema, ResponseTextConfig
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
class TranslatedResponsesRequest:
    """A request, its chat request, and the path that each chat message comes from."""

    request: ResponsesRequest
    chat: ChatCompletionRequest
    origins: Sequence[str]

    def translate_error(self, error: ApiError) -> ApiError:
        """Return an error of the chat request with the `param` of the Responses request."""
        return error if error.param is None else error.at(self._translate_param(error.param))

    def _translate_param(self, param: str) -> str:
        if message := re.fullmatch(r"messages\[(\d+)\](.*)", param):
            index, path = int(message[1]), message[2]
            origin, role = self.origins[index], self.chat.messages[index].role
            # The input is a bare string, so there is no path within it.
            return origin + _translate_item_path(path, role) if origin.endswith("]") else origin
        if param == "messages":
            return "input"
        param = re.sub(r"^response_format(\.json_schema)?", "text.format", param)
        return re.sub(r"^(tools\[\d+\])\.function", r"\1", param)


def parse_and_translate(
    body: bytes | bytearray, policy: RequestPolicy = STRICT
) -> TranslatedResponsesRequest:
    """Parse and check a body. Raises `InvalidJson`, `InvalidValue` or `UnsupportedParameter`."""
    translated = translate(parse_responses_request(body, policy))
    try:
        check_field_combinations(translated.chat)
    except ApiError as error:
        raise translated.translate_error(error) from None
    return translated


def translate(request: ResponsesRequest) -> TranslatedResponsesRequest:
    """Return the request with its chat request."""
    messages = translate_input(request)
    sampling = {name: getattr(request, name) for name in SamplingFields.model_fields}
    chat = ChatCompletionRequest(
        **sampling,
        model=request.model,
        messages=messages.messages,
        max_completion_tokens=request.max_output_tokens,
        stream=request.stream,
        logprobs=request.include_logprobs,
        top_logprobs=request.top_logprobs if request.include_logprobs else None,
        response_format=_translate_format(request.text),
        tools=_translate_tools(request),
        tool_choice=_translate_tool_choice(request.tool_choice),
        parallel_tool_calls=request.parallel_tool_calls,
    )
    return TranslatedResponsesRequest(request, chat, messages.origins)


def _translate_item_path(path: str, role: str) -> str:
    if role == "tool":  # which is a function's output
        path = re.sub(r"^\.content", ".output", path)
    return path.replace(".tool_call_id", ".call_id")


def _translate_format(text: ResponseTextConfig | None) -> ResponseFormat | None:
    text_format = text.format if text is not None else None
    if not isinstance(text_format, ResponseJsonSchema):
        return text_format
    schema = JsonSchema(
        name=text_format.name,
        description=text_format.description,
        schema=text_format.schema_,
        strict=text_format.strict,
    )
    return JsonSchemaFormat(type="json_schema", json_schema=schema)


def _translate_tools(request: ResponsesRequest) -> list[Tool] | None:
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


def _translate_tool_choice(choice: FlatToolChoice | None) -> ToolChoice | None:
    if isinstance(choice, FunctionChoice):
        return _build_named_tool(choice)
    if isinstance(choice, AllowedFunctions):
        tools = AllowedToolsList(
            mode=choice.mode, tools=[_build_named_tool(tool) for tool in choice.tools]
        )
        return AllowedTools(type="allowed_tools", allowed_tools=tools)
    return choice


def _build_named_tool(choice: FunctionChoice) -> NamedTool:
    return NamedTool(type="function", function=NamedFunction(name=choice.name))
