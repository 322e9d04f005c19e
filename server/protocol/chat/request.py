"""The request body of `POST /v1/chat/completions`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final

from pydantic import Field

from server.errors import InvalidValue
from server.protocol.chat.messages import MAX_MESSAGES, Message
from server.protocol.chat.template_fields import TemplateFields, check_template_fields
from server.protocol.generation_fields import (
    GenerationFields,
    check_generation_fields,
    check_no_token_mask,
)
from server.protocol.policy import STRICT, RequestPolicy
from server.protocol.sampling import TokenLimit
from server.protocol.tools import MAX_TOOLS, AllowedTools, NamedTool, Tool, ToolChoice
from server.protocol.wire import parse_body

SYSTEM_ROLES: Final = ("system", "developer")
# Of `leading_text`: what differs only later is rare.
MAX_LEADING_CHARS: Final = 65_536


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image's URL, the path of its field, and whether `detail` is `low`."""

    url: str
    param: str
    low_detail: bool = False


@dataclass(frozen=True, slots=True)
class VideoReference:
    """A video's URL, and the path of its field."""

    url: str
    param: str


class ChatCompletionRequest(TemplateFields, GenerationFields):
    """A chat completion request as in OpenAI's API reference, with vLLM's additions.

    https://platform.openai.com/docs/api-reference/chat/create
    """

    messages: list[Message] = Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
    max_tokens: TokenLimit = Field(None, description="deprecated by OpenAI, still honoured")
    max_completion_tokens: TokenLimit = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None

    @property
    def token_limit(self) -> int | None:
        """The maximum number of tokens to generate; the newer field takes precedence."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def num_logprobs(self) -> int | None:
        """The number of top tokens to report per token; None to report no log probabilities."""
        return self.top_logprobs or 0 if self.logprobs else None

    @property
    def num_images(self) -> int:
        """The number of images in the messages."""
        return len(self.images)

    @property
    def video_urls(self) -> Sequence[str]:
        """The URLs of the videos in the messages."""
        return [video.url for video in self.videos]

    @property
    def leading_text(self) -> str:
        """The system messages at the beginning and the first turn: all later turns keep them."""
        texts: list[str] = []
        room = MAX_LEADING_CHARS
        for message in self.messages:
            texts.append(message.text[:room])
            room -= len(texts[-1])
            if not room or message.role not in SYSTEM_ROLES:
                break
        return "\n".join(texts)

    def drop_media(self) -> None:
        """Forget the data of images and videos, which is of no use once they are encoded."""
        for message in self.messages:
            # A frozen model keeps its fields in `__dict__`; nothing reads these any more.
            for _, image in message.images:
                image.image_url.__dict__["url"] = ""
            for _, video in message.videos:
                video.video_url.__dict__["url"] = ""
        for name in ("images", "videos"):
            self.__dict__.pop(name, None)

    @cached_property
    def images(self) -> list[ImageReference]:
        """All images, in the order of the messages."""
        return [
            ImageReference(
                part.image_url.url,
                f"messages[{message_index}].content[{part_index}].{part.field}",
                part.image_url.detail == "low",
            )
            for message_index, message in enumerate(self.messages)
            for part_index, part in message.images
        ]

    @cached_property
    def videos(self) -> list[VideoReference]:
        """All videos, in the order of the messages."""
        return [
            VideoReference(
                part.video_url.url, f"messages[{message_index}].content[{part_index}].video_url.url"
            )
            for message_index, message in enumerate(self.messages)
            for part_index, part in message.videos
        ]


def parse_chat_request(
    body: bytes | bytearray, policy: RequestPolicy = STRICT
) -> ChatCompletionRequest:
    """Parse and check a request body.

    Raises `InvalidJson`, `InvalidValue` (first offending field) or `UnsupportedParameter`.
    """
    request = parse_body(ChatCompletionRequest, body, policy)
    check_template_fields(request, policy)
    check_field_combinations(request)
    return request


def check_field_combinations(request: ChatCompletionRequest) -> None:
    """Raise `InvalidValue` if fields contradict each other."""
    check_generation_fields(request, request.token_limit)
    if request.top_logprobs and not request.logprobs:
        raise InvalidValue("'top_logprobs' needs 'logprobs' to be true.", "top_logprobs")
    _check_tools(request)


def _check_tools(request: ChatCompletionRequest) -> None:
    """Check that names of tools are unique and that `tool_choice` names existing tools."""
    choice = request.tool_choice
    if request.tools and choice != "none":
        check_no_token_mask(request)
    names = [tool.function.name for tool in request.tools or ()]
    if len(set(names)) < len(names):
        raise InvalidValue("Two tools have the same name.", "tools")
    if choice in (None, "none", "auto"):
        return
    if not names:
        raise InvalidValue("'tool_choice' is only allowed with 'tools'.", "tool_choice")
    if isinstance(choice, NamedTool):
        named_tools = [choice]
    else:
        named_tools = choice.allowed_tools.tools if isinstance(choice, AllowedTools) else []
    for tool in named_tools:
        if tool.function.name not in names:
            raise InvalidValue(
                f"'tool_choice' names '{tool.function.name}', which is not in 'tools'.",
                "tool_choice",
            )
