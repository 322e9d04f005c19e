"""What `POST /v1/chat/completions` answers: one completion, or chunks of a stream."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from server.protocol.usage import Usage

FinishReason = Literal["stop", "length", "tool_calls"]


class AssistantFunctionCall(BaseModel):
    """A function's name and its arguments as JSON text."""

    name: str
    arguments: str


class AssistantToolCall(BaseModel):
    """A call that the client is to make."""

    id: str
    type: Literal["function"] = "function"
    function: AssistantFunctionCall


class AssistantMessage(BaseModel):
    """The answer. Its content is null where it only calls tools."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    tool_calls: Annotated[
        list[AssistantToolCall] | None, Field(exclude_if=lambda calls: not calls)
    ] = None


class TopLogprob(BaseModel):
    """A token that might have stood in a place; `bytes` are its share of the text's UTF-8."""

    token: str
    logprob: float
    bytes: list[int]


class ChatTokenLogprob(TopLogprob):
    """A token of the answer, and the likeliest ones in its place."""

    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(BaseModel):
    """The log probabilities of an answer's tokens."""

    content: list[ChatTokenLogprob]
    refusal: None = None


class ChatChoice(BaseModel):
    """One answer of a completion."""

    index: int
    message: AssistantMessage
    logprobs: ChoiceLogprobs | None = None
    finish_reason: FinishReason


class ChatCompletion(BaseModel):
    """The whole answer at once."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class FunctionDelta(BaseModel):
    """The name comes first and alone, then the arguments piece by piece."""

    name: str | None = None
    arguments: str


class ToolCallDelta(BaseModel):
    """What a chunk adds to a call; `id` and `type` come with its first piece only."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionDelta


class MessageDelta(BaseModel):
    """What a chunk adds to the answer."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChunkChoice(BaseModel):
    """What a chunk adds to one of the answers."""

    index: int
    delta: MessageDelta
    logprobs: ChoiceLogprobs | None = None
    finish_reason: FinishReason | None = None


class ChatCompletionChunk(BaseModel):
    """One event of a stream.

    `usage` is only there if it was asked for, and null but on the last chunk, whose `choices` are
    empty; with `continuous_usage_stats` it is on every chunk.
    """

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
