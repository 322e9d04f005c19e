"""The response bodies of `POST /v1/messages` and `POST /v1/messages/count_tokens`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

StopReason = Literal[
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"
]


class OutputTextBlock(BaseModel):
    """Text, always without citations."""

    type: Literal["text"] = "text"
    text: str
    citations: None = None


class OutputToolUseBlock(BaseModel):
    """A call for the client to execute; `input` holds its arguments."""

    type: Literal["tool_use"] = "tool_use"
    id: str
    name: str
    input: dict[str, Any]


OutputBlock = Annotated[OutputTextBlock | OutputToolUseBlock, Field(discriminator="type")]


class MessageUsage(BaseModel):
    """Tokens of the prompt, image tokens included, and of the answer, EOS tokens included.

    Nothing is cached on request, so the prompt's tokens are all `input_tokens`.
    """

    input_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int


class ResponseMessage(BaseModel):
    """A message of the model, complete or about to be streamed."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[OutputBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: MessageUsage


class TokenCount(BaseModel):
    """The number of tokens of a prompt, image tokens included."""

    input_tokens: int
