"""Request and response bodies of `POST /tokenize` and `POST /detokenize`, in vLLM's shapes."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, Discriminator, Field, Tag, TypeAdapter, ValidationError

from server.protocol.chat.messages import MAX_MESSAGES, Message
from server.protocol.chat.request import ChatCompletionRequest, check_field_combinations
from server.protocol.chat.template_fields import TemplateFields, check_template_fields
from server.protocol.policy import STRICT, RequestPolicy
from server.protocol.sampling import TokenId
from server.protocol.tools import MAX_TOOLS, Tool
from server.protocol.video import VideoIoKwargs
from server.protocol.wire import (
    ModelName,
    RequestBody,
    build_validation_error,
    name_model,
    parse_body,
    parse_json,
)

MAX_TOKEN_IDS: Final = 262_144


class _ConversionRequest(RequestBody):
    """What all these requests have."""

    model: ModelName | None = None

    @property
    def num_images(self) -> int:
        """The number of images."""
        return 0

    @property
    def video_urls(self) -> Sequence[str]:
        """The URLs of videos."""
        return ()

    @property
    def video_options(self) -> VideoIoKwargs | None:
        """How many frames are taken of videos, if the request says it."""
        return None


class TokenizeTextRequest(_ConversionRequest):
    """A `prompt`, tokenised as in a text completion."""

    prompt: str
    add_special_tokens: bool = Field(True, description="begin with the BOS, if the model has one")
    return_token_strs: bool | None = None


class TokenizeChatRequest(TemplateFields, _ConversionRequest):
    """`messages` with their images and videos, tokenised as in a chat completion."""

    messages: list[Message] = Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    return_token_strs: bool | None = None

    @property
    def num_images(self) -> int:
        """The number of images in its messages."""
        return sum(len(message.images) for message in self.messages)

    @property
    def video_urls(self) -> Sequence[str]:
        """The URLs of the videos in its messages."""
        return [part.video_url.url for message in self.messages for _, part in message.videos]

    def to_chat_request(self, default_model: str) -> ChatCompletionRequest:
        """Return the chat request with these messages. Raises `InvalidValue`."""
        request = ChatCompletionRequest(
            model=self.model or default_model,
            messages=self.messages,
            tools=self.tools,
            **{name: getattr(self, name) for name in TemplateFields.model_fields},
        )
        check_field_combinations(request)
        return request


class DetokenizeRequest(_ConversionRequest):
    """Token ids to detokenise."""

    tokens: list[TokenId] = Field(max_length=MAX_TOKEN_IDS, fail_fast=True)


class TokenizeResponse(BaseModel):
    """A prompt's token ids, image tokens included; `token_strs` with `return_token_strs`."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class DetokenizeResponse(BaseModel):
    """The text of token ids, with the names of special tokens."""

    prompt: str


def _select_branch(value: Any) -> str:
    has_messages = isinstance(value, dict) and value.get("messages") is not None
    return "#chat" if has_messages else "#text"


TokenizeRequest = TokenizeTextRequest | TokenizeChatRequest
TOKENIZE: Final[TypeAdapter[TokenizeRequest]] = TypeAdapter(
    Annotated[
        Annotated[TokenizeTextRequest, Tag("#text")] | Annotated[TokenizeChatRequest, Tag("#chat")],
        Discriminator(_select_branch),
    ]
)


def parse_tokenize_request(
    body: bytes | bytearray, policy: RequestPolicy = STRICT
) -> TokenizeRequest:
    """Parse a body with a `prompt` or `messages`. Raises the errors of `parse_body`."""
    content = parse_json(body)
    name_model(content, policy)
    try:
        request = TOKENIZE.validate_python(content)
    except ValidationError as error:
        raise build_validation_error(error) from None
    request.take_extra_fields(policy)
    if isinstance(request, TokenizeChatRequest):
        check_template_fields(request, policy)
    return request


def parse_detokenize_request(
    body: bytes | bytearray, policy: RequestPolicy = STRICT
) -> DetokenizeRequest:
    """Parse a body with `tokens`. Raises the errors of `parse_body`."""
    return parse_body(DetokenizeRequest, body, policy)
