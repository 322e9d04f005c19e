"""Response bodies of `POST /v1/chat/completions`: one completion, or the chunks of a stream."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from server.protocol.requested import PromptLogprobs, Requested
from server.protocol.usage import Usage

FinishReason = Literal["stop", "length", "tool_calls"]


class AssistantFunctionCall(BaseModel):
    """A function's name and its arguments as JSON text."""

    name: str
    arguments: str


class AssistantToolCall(BaseModel):
    """A tool call for the client to execute."""

    id: str
    type: Literal["function"] = "function"
    function: AssistantFunctionCall


class AssistantMessage(BaseModel):
    """The answer; `content` is null if it only has tool calls."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    tool_calls: Annotated[
        list[AssistantToolCall] | None, Field(exclude_if=lambda calls: not calls)
    ] = None


class TopLogprob(BaseModel):
    """One of the likeliest tokens at a position; `bytes` are its part of the text's UTF-8."""

    token: str
    logprob: float
    bytes: list[int]


class ChatTokenLogprob(TopLogprob):
    """A token of the answer, and the likeliest tokens at its position."""

    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(BaseModel):
    """The log probabilities of an answer's tokens."""

    content: list[ChatTokenLogprob]
    refusal: None = None


class ChatChoice(BaseModel):
    """One choice of a completion."""

    index: int
    message: AssistantMessage
    logprobs: ChoiceLogprobs | None = None
    finish_reason: FinishReason
    token_ids: Requested[list[int]] = None


class ChatCompletion(BaseModel):
    """A complete chat completion."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    prompt_token_ids: Requested[list[int]] = None
    prompt_logprobs: Requested[PromptLogprobs] = None


class FunctionDelta(BaseModel):
    """The first delta of a call has the name, the following ones append to the arguments."""

    name: str | None = None
    arguments: str


class ToolCallDelta(BaseModel):
    """A delta of a tool call; only its first one has `id` and `type`."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionDelta


class AssistantDelta(BaseModel):
    """A delta of a message."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChunkChoice(BaseModel):
    """A delta of one choice."""

    index: int
    delta: AssistantDelta
    logprobs: ChoiceLogprobs | None = None
    finish_reason: FinishReason | None = None
    token_ids: Requested[list[int]] = None


class ChatCompletionChunk(BaseModel):
    """One event of a stream.

    With `include_usage`, the last chunk has `usage` and empty `choices`; in the others it is null.
    With `continuous_usage_stats`, every chunk has the usage so far.
    """

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    prompt_token_ids: Requested[list[int]] = None
