"""What `POST /v1/completions` answers: one completion, or chunks of a stream."""

from typing import Literal

from pydantic import BaseModel

from server.protocol.usage import Usage


class CompletionLogprobs(BaseModel):
    """Lists with an entry for each token; a prompt's first token has no log probability.

    `top_logprobs` maps the likeliest tokens, and the token itself, to their log probabilities.
    `text_offset` counts characters of the choice's text. Tokens that are not shown, such as the
    one that ends an answer, take no room in it.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(BaseModel):
    """One answer to one of the prompts: `index` counts the answers prompt by prompt."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: Literal["stop", "length"]


class TextCompletion(BaseModel):
    """The whole answers at once; `usage` is the sum over all prompts."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


class CompletionChunkChoice(BaseModel):
    """What a chunk adds to one of the answers."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: Literal["stop", "length"] | None = None


class TextCompletionChunk(BaseModel):
    """One event of a stream; `usage` is there as in a stream of chat."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChunkChoice]
    usage: Usage | None = None
