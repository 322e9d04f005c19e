"""vLLM's additions to response bodies, which are left out unless requested."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, Field

T = TypeVar("T")

Requested = Annotated[T | None, Field(exclude_if=lambda value: value is None)]


class PromptLogprob(BaseModel):
    """The log probability of a token in the prompt, its rank from 1, and its text."""

    logprob: float
    rank: int
    decoded_token: str


# By token id, for each token of the prompt; null for the first, which none precedes.
PromptLogprobs = list[dict[str, PromptLogprob] | None]
