"""The body of `POST /v1/chat/completions`, parsed from bytes and checked."""

from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field

from server.errors import InvalidValue
from server.protocol.formats import ResponseFormat, StructuredOutputs, TextFormat
from server.protocol.messages import ImageUrl, Message
from server.protocol.sampling import SamplingFields
from server.protocol.tools import AllowedTools, NamedTool, Tool, ToolChoice
from server.protocol.wire import ANY, WireModel, field_path, parse_body

# As `server.protocol.wire.HARMLESS`, for chats alone.
HARMLESS: Final[dict[str, tuple[Any, ...]]] = {
    "add_generation_prompt": (True,),
    "continue_final_message": (False,),
    "echo": (False,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "modalities": (["text"],),
    "store": ANY,
}


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image of a request, the path of the field that names it, and whether little will do."""

    url: str
    param: str
    low_detail: bool = False


class StreamOptions(WireModel):
    """`stream_options`; other keys are ignored. `continuous_usage_stats` is vLLM's."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class ChatCompletionRequest(SamplingFields):
    """A chat completion request as OpenAI's API reference describes it, with vLLM's additions.

    https://platform.openai.com/docs/api-reference/chat/create
    """

    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1, description="deprecated by OpenAI, still honoured")
    max_completion_tokens: int | None = Field(None, ge=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = Field(
        None, description="vLLM's: constrains the answer"
    )
    tools: list[Tool] | None = Field(None, max_length=128)
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = Field(
        None, description="vLLM's: for the checkpoint's own chat template, if that is in use"
    )

    @property
    def token_limit(self) -> int | None:
        """Most tokens to generate; the newer field wins."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a chunk that holds the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def continuous_usage(self) -> bool:
        """Whether every chunk of a stream holds the usage so far."""
        options = self.stream_options
        return bool(options and options.include_usage and options.continuous_usage_stats)

    @property
    def wants_text(self) -> bool:
        """Whether the answer may look like anything."""
        free = self.response_format is None or isinstance(self.response_format, TextFormat)
        return free and self.structured_outputs is None

    @property
    def num_logprobs(self) -> int | None:
        """Alternatives to report in each token's place; None reports no token either."""
        return self.top_logprobs or 0 if self.logprobs else None

    @property
    def images(self) -> list[ImageReference]:
        """All images in the order of the messages."""
        return [
            ImageReference(image.url, image_param(turn, part), image.detail == "low")
            for turn, message in enumerate(self.messages)
            for part, image in message.images
        ]


def image_param(message: int, part: int) -> str:
    """Return the path of an image part's URL in the body."""
    return f"messages[{message}].content[{part}].image_url.url"


def parse_request(body: bytes) -> ChatCompletionRequest:
    """Parse and check a request body.

    Raises `InvalidJson`, `InvalidValue` (first offending field) or `UnsupportedParameter`.
    """
    request = parse_body(ChatCompletionRequest, body, HARMLESS)
    check_combinations(request)
    return request


def check_combinations(request: ChatCompletionRequest) -> None:
    """Refuse fields that contradict each other. Raises `InvalidValue`."""
    if request.stream_options is not None and not request.stream:
        raise InvalidValue(
            "'stream_options' is only allowed when 'stream' is true.", "stream_options"
        )
    if request.top_logprobs and not request.logprobs:
        raise InvalidValue("'top_logprobs' needs 'logprobs' to be true.", "top_logprobs")
    if request.min_tokens and request.min_tokens > (request.token_limit or request.min_tokens):
        raise InvalidValue("'min_tokens' must not exceed the token limit.", "min_tokens")
    _check_formats(request)
    _check_tools(request)


def _check_formats(request: ChatCompletionRequest) -> None:
    if request.structured_outputs is None:
        return
    if request.response_format is not None and not isinstance(request.response_format, TextFormat):
        raise InvalidValue(
            "'structured_outputs' cannot be combined with 'response_format'.", "structured_outputs"
        )


def _check_tools(request: ChatCompletionRequest) -> None:
    """Check that the choice names tools there are."""
    choice = request.tool_choice
    names = [tool.function.name for tool in request.tools or ()]
    if len(set(names)) < len(names):
        raise InvalidValue("Two tools have the same name.", "tools")
    if choice in (None, "none", "auto"):
        return
    if not names:
        raise InvalidValue("'tool_choice' is only allowed with 'tools'.", "tool_choice")
    if isinstance(choice, NamedTool):
        wanted = [choice]
    else:
        wanted = choice.allowed_tools.tools if isinstance(choice, AllowedTools) else []
    for tool in wanted:
        if tool.function.name not in names:
            raise InvalidValue(
                f"'tool_choice' names '{tool.function.name}', which is none of 'tools'.",
                "tool_choice",
            )


__all__ = [
    "ChatCompletionRequest",
    "ImageReference",
    "ImageUrl",
    "Message",
    "field_path",
    "parse_request",
]
