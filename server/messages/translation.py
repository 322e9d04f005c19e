"""Translates a Messages request into a chat request, and the `param` of errors back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from server.errors import ApiError
from server.messages.conversation import Origin, translate_messages
from server.protocol.chat.request import ChatCompletionRequest, check_field_combinations
from server.protocol.messages.request import (
    OutputConfig,
    TokenCountRequest,
    parse_messages_request,
    parse_token_count_request,
)
from server.protocol.messages.tools import (
    AnthropicToolChoice,
    AnyChoice,
    CustomTool,
    NamedChoice,
    NoChoice,
)
from server.protocol.policy import STRICT, RequestPolicy
from server.protocol.video import VideoIoKwargs
from server.protocol.wire import build_validation_error

SAME_FIELDS: Final = ("model", "max_tokens", "temperature", "top_p", "top_k", "stream")
MESSAGE_PATH: Final = re.compile(r"messages\[(\d+)\](?:\.content\[(\d+)\])?(.*)")
# Patterns of paths in a chat request, outside its messages, and the paths in a Messages request.
PATHS: Final = {
    r"^(tools\[\d+\])\.function\.parameters": r"\1.input_schema",
    r"^(tools\[\d+\])\.function": r"\1",
    r"^response_format(\.json_schema)?": "output_config.format",
}


@dataclass(frozen=True, slots=True)
class TranslatedMessagesRequest:
    """A chat request, the origin of each of its messages, and the ignored fields."""

    chat: ChatCompletionRequest
    origins: Sequence[Origin]
    ignored_parameters: Sequence[str]

    @property
    def model(self) -> str:
        """The model that the request names."""
        return self.chat.model

    @property
    def num_images(self) -> int:
        """The number of images in its messages."""
        return self.chat.num_images

    @property
    def video_urls(self) -> Sequence[str]:
        """The URLs of videos: none, since this API has no videos."""
        return self.chat.video_urls

    @property
    def video_options(self) -> VideoIoKwargs | None:
        """The request's options for sampling video frames, if any."""
        return self.chat.video_options


def parse_and_translate(
    body: bytes | bytearray, policy: RequestPolicy = STRICT
) -> TranslatedMessagesRequest:
    """Parse and check a body. Raises `InvalidJson`, `InvalidValue` or `UnsupportedParameter`."""
    return _translate(parse_messages_request(body, policy))


def parse_and_translate_token_count(
    body: bytes | bytearray, policy: RequestPolicy = STRICT
) -> TranslatedMessagesRequest:
    """Like `parse_and_translate`, for a body whose tokens are to be counted."""
    return _translate(parse_token_count_request(body, policy))


def translate_error(error: ApiError, origins: Sequence[Origin]) -> ApiError:
    """Return an error of the chat request with the `param` of the Messages request."""
    return error if error.param is None else error.at(_translate_param(error.param, origins))


def _translate(request: TokenCountRequest) -> TranslatedMessagesRequest:
    messages = translate_messages(request)
    fields = {
        **{name: getattr(request, name) for name in SAME_FIELDS},
        "messages": messages.messages,
        "response_format": _translate_format(request.output_config),
        "tools": [_translate_tool(tool) for tool in request.tools or ()],
        **_translate_tool_choice(request.tool_choice),
    }
    try:
        chat = _build_chat_request(fields)
    except ApiError as error:
        raise translate_error(error, messages.origins) from None
    # Set here because a chat request has OpenAI's limit on stop strings.
    chat = chat.model_copy(update={"stop": request.stop_sequences})
    return TranslatedMessagesRequest(chat, messages.origins, request.ignored_parameters)


def _build_chat_request(fields: dict[str, Any]) -> ChatCompletionRequest:
    try:
        chat = ChatCompletionRequest.model_validate(fields)
    except ValidationError as error:
        raise build_validation_error(error) from None
    check_field_combinations(chat)
    return chat


def _translate_format(config: OutputConfig | None) -> dict[str, Any] | None:
    if config is None or config.format is None:
        return None
    schema = {"name": "output", "schema": config.format.schema_, "strict": True}
    return {"type": "json_schema", "json_schema": schema}


def _translate_tool(tool: CustomTool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.input_schema,
        "strict": tool.strict,
    }
    return {"type": "function", "function": function}


def _translate_tool_choice(choice: AnthropicToolChoice | None) -> dict[str, Any]:
    if choice is None:
        return {}
    return {
        "tool_choice": _translate_tool_mode(choice),
        "parallel_tool_calls": not choice.disable_parallel_tool_use,
    }


def _translate_tool_mode(choice: AnthropicToolChoice) -> str | dict[str, Any]:
    if isinstance(choice, NamedChoice):
        return {"type": "function", "function": {"name": choice.name}}
    if isinstance(choice, AnyChoice):
        return "required"
    return "none" if isinstance(choice, NoChoice) else "auto"


def _translate_param(param: str, origins: Sequence[Origin]) -> str:
    if found := MESSAGE_PATH.fullmatch(param):
        return _translate_message_path(found, origins[int(found[1])])
    for pattern, replacement in PATHS.items():
        param = re.sub(pattern, replacement, param)
    return param


def _translate_message_path(found: re.Match[str], origin: Origin) -> str:
    if found[2] is not None:
        return origin.parts[int(found[2])] + found[3].replace(".image_url.url", ".source")
    if found[3].startswith(".tool_calls"):
        return f"{origin.path}.content"
    return origin.path + found[3].replace(".tool_call_id", ".tool_use_id")
