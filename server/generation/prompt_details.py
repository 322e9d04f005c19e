"""What a response tells of its prompt beside the usage: token ids and log probabilities."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import TokenLogprob
from server.generation.logprobs import LEAST_LOGPROB
from server.protocol.generation_fields import GenerationFields

# By token id: log probability, rank and text of the likeliest tokens and of the token itself.
PromptLogprobs = list[dict[str, dict[str, Any]] | None]


@dataclass(frozen=True, slots=True)
class PromptDetails:
    """A prompt's `prompt_token_ids` and `prompt_logprobs`, None unless requested."""

    token_ids: Sequence[int] | None = None
    logprobs: PromptLogprobs | None = None


async def describe_prompt(
    request: GenerationFields,
    token_ids: Sequence[int],
    logprobs: Sequence[TokenLogprob | None],
    vocabulary: Vocabulary,
) -> PromptDetails:
    """Return what the request asks for; a long prompt's log probabilities take a while."""
    num_top = request.prompt_logprobs
    return PromptDetails(
        token_ids if request.return_token_ids else None,
        None
        if num_top is None
        else await asyncio.to_thread(build_prompt_logprobs, logprobs, num_top, vocabulary),
    )


def build_prompt_logprobs(
    logprobs: Sequence[TokenLogprob | None], num_top: int, vocabulary: Vocabulary
) -> PromptLogprobs:
    """Return vLLM's `prompt_logprobs`; a prompt's first token has none."""
    return [
        None if each is None else _build_position(each, num_top, vocabulary) for each in logprobs
    ]


def _build_position(
    token: TokenLogprob, num_top: int, vocabulary: Vocabulary
) -> dict[str, dict[str, Any]]:
    ranked = {token.token_id: (token.logprob, token.rank)}
    for rank, (token_id, logprob) in enumerate(token.top[:num_top], 1):
        ranked.setdefault(token_id, (logprob, rank))
    return {
        str(token_id): {
            "logprob": max(logprob, LEAST_LOGPROB),
            "rank": rank,
            "decoded_token": vocabulary.token_text(token_id).text,
        }
        for token_id, (logprob, rank) in ranked.items()
    }
