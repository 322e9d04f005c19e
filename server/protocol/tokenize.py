"""Bodies and answers of `POST /tokenize` and `POST /detokenize`, in vLLM's shapes."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, Discriminator, Field, Tag, TypeAdapter, ValidationError

from server.protocol.chat.messages import Message
from server.protocol.chat.request import ChatCompletionRequest, check_field_combinations
from server.protocol.sampling import TokenId
from server.protocol.tools import Tool
from server.protocol.wire import RequestBody, build_validation_error, check_extra_fields, parse_body

# As `server.protocol.wire.IGNORED_VALUES`, for conversations that are tokenised.
IGNORED_CHAT_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "add_generation_prompt": (True,),
    "add_special_tokens": (False,),
    "continue_final_message": (False,),
}


class TokenizeTextRequest(RequestBody):
    """Text, as a text completion would take it."""

    model: str | None = None
    prompt: str
    add_special_tokens: bool = Field(True, description="begin with the BOS, if the model has one")
    return_token_strs: bool | None = None


class TokenizeChatRequest(RequestBody):
    """A conversation, as a chat completion would take it, its images included."""

    model: str | None = None
    messages: list[Message] = Field(min_length=1)
    tools: list[Tool] | None = Field(None, max_length=128)
    chat_template_kwargs: dict[str, Any] | None = None
    return_token_strs: bool | None = None

    def to_chat_request(self, default_model: str) -> ChatCompletionRequest:
        """Return the chat request whose prompt is asked for. Raises `InvalidValue`."""
        request = ChatCompletionRequest(
            model=self.model or default_model,
            messages=self.messages,
            tools=self.tools,
            chat_template_kwargs=self.chat_template_kwargs,
        )
        check_field_combinations(request)
        return request


class DetokenizeRequest(RequestBody):
    """Token ids to turn into text."""

    model: str | None = None
    tokens: list[TokenId]


class TokenizeResponse(BaseModel):
    """A prompt's token ids, an image's placeholders among them; `token_strs` if asked for."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class DetokenizeResponse(BaseModel):
    """The text of token ids, special tokens by their names."""

    prompt: str


def _branch(value: Any) -> str:
    return "#chat" if isinstance(value, dict) and "messages" in value else "#text"


TokenizeRequest = TokenizeTextRequest | TokenizeChatRequest
TOKENIZE: Final[TypeAdapter[TokenizeRequest]] = TypeAdapter(
    Annotated[
        Annotated[TokenizeTextRequest, Tag("#text")] | Annotated[TokenizeChatRequest, Tag("#chat")],
        Discriminator(_branch),
    ]
)


def parse_tokenize_request(body: bytes) -> TokenizeRequest:
    """Parse a body that holds a `prompt` or `messages`. Raises as `parse_body` does."""
    try:
        request = TOKENIZE.validate_json(body)
    except ValidationError as error:
        raise build_validation_error(error) from None
    check_extra_fields(
        request, IGNORED_CHAT_VALUES if isinstance(request, TokenizeChatRequest) else {}
    )
    return request


def parse_detokenize_request(body: bytes) -> DetokenizeRequest:
    """Parse a body that holds `tokens`. Raises as `parse_body` does."""
    return parse_body(DetokenizeRequest, body, {})
