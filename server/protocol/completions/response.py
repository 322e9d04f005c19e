"""Response bodies of `POST /v1/completions`: one completion, or the chunks of a stream."""

from typing import Literal

from pydantic import BaseModel

from server.protocol.requested import PromptLogprobs, Requested
from server.protocol.usage import Usage


class CompletionLogprobs(BaseModel):
    """Lists with one entry per token; a prompt's first token has no log probability.

    `top_logprobs` maps the likeliest tokens, and the token itself, to their log probabilities.
    `text_offset` counts characters of the choice's text, in which special tokens have no length.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(BaseModel):
    """One choice of one prompt; `index` counts the choices prompt by prompt."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: Literal["stop", "length"]
    token_ids: Requested[list[int]] = None
    prompt_token_ids: Requested[list[int]] = None
    prompt_logprobs: Requested[PromptLogprobs] = None


class TextCompletion(BaseModel):
    """All choices; `usage` is the sum over all prompts."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


class CompletionChunkChoice(BaseModel):
    """Text that a chunk appends to one choice."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: Literal["stop", "length"] | None = None
    token_ids: Requested[list[int]] = None
    prompt_token_ids: Requested[list[int]] = None


class TextCompletionChunk(BaseModel):
    """One event of a stream; `usage` is as in `ChatCompletionChunk`."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChunkChoice]
    usage: Usage | None = None
