"""What `POST /v1/chat/completions` answers: one completion, or chunks of a stream."""

from typing import Any, Literal

from pydantic import BaseModel

from server.errors import ApiError

FinishReason = Literal["stop", "length"]


class PromptTokensDetails(BaseModel):
    """Which of the prompt's tokens were cheap, and which stand for images."""

    cached_tokens: int
    image_tokens: int


class Usage(BaseModel):
    """Tokens of the prompt (image tokens included) and of the answer (end token included)."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class AssistantMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(BaseModel):
    """One answer of a completion; this server gives exactly one."""

    index: int = 0
    message: AssistantMessage
    logprobs: None = None
    finish_reason: FinishReason


class ChatCompletion(BaseModel):
    """The whole answer at once."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage


class Delta(BaseModel):
    """What a chunk adds to the answer."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(BaseModel):
    """The one choice of a chunk."""

    index: int = 0
    delta: Delta
    logprobs: None = None
    finish_reason: FinishReason | None = None


class ChatCompletionChunk(BaseModel):
    """One event of a stream; `usage` only on the last one, whose `choices` are empty."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


class Model(BaseModel):
    """A model this server serves."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "llava-server"
    max_model_len: int


class ModelList(BaseModel):
    """The answer of `GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[Model]


class ErrorBody(BaseModel):
    """What went wrong, where, and a stable code for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    """Every error of every path."""

    error: ErrorBody


def error_body(error: ApiError) -> dict[str, Any]:
    """Return an error in OpenAI's shape."""
    body = ErrorBody(message=error.message, type=error.type, param=error.param, code=error.code)
    return ErrorResponse(error=body).model_dump()
