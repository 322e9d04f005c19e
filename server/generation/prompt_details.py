"""The prompt's token ids and log probabilities in a response."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import TokenLogprob
from server.errors import InvalidValue
from server.generation.logprobs import LEAST_LOGPROB
from server.protocol.generation_fields import GenerationFields

# Log probabilities of prompt tokens in one response, about 80 bytes of JSON each.
MAX_PROMPT_ENTRIES: Final = 524_288
# The same for one prompt with all its choices: vLLM builds them on the event loop, 10 µs each.
MAX_ENTRIES_OF_ONE_PROMPT: Final = 16_384


@dataclass(frozen=True, slots=True)
class PromptDetails:
    """A prompt's `prompt_token_ids`, and `prompt_logprobs` as JSON; None unless requested."""

    token_ids: Sequence[int] | None = None
    logprobs: str | None = None


def check_num_prompt_logprobs(
    prompt_lengths: Sequence[int], num_choices: int, num_top: int | None, param: str
) -> None:
    """Raise `InvalidValue`, naming `param`, for too many log probabilities of prompt tokens.

    Each of a prompt's choices reports them.
    """
    if num_top is None:
        return
    counts = [length * num_choices * (num_top + 1) for length in prompt_lengths]
    for count, limit, what in (
        (max(counts, default=0), MAX_ENTRIES_OF_ONE_PROMPT, "of one prompt"),
        (sum(counts), MAX_PROMPT_ENTRIES, "of all prompts"),
    ):
        if count > limit:
            raise InvalidValue(
                f"These are {count} log probabilities {what}; the limit is {limit}: ask for fewer"
                f" alternatives, choices or tokens ('{param}').",
                param,
            )


async def describe_prompt(
    request: GenerationFields,
    token_ids: Sequence[int],
    logprobs: Sequence[TokenLogprob | None],
    vocabulary: Vocabulary,
) -> PromptDetails:
    """Return the requested details; log probabilities are formatted in a thread."""
    num_top = request.prompt_logprobs
    return PromptDetails(
        token_ids if request.return_token_ids else None,
        None
        if num_top is None
        else await asyncio.to_thread(write_prompt_logprobs, logprobs, num_top, vocabulary),
    )


def write_prompt_logprobs(
    logprobs: Sequence[TokenLogprob | None], num_top: int, vocabulary: Vocabulary
) -> str:
    """Return the JSON of `server.protocol.requested.PromptLogprobs`; the first token has none.

    pydantic would hold the interpreter's lock for a long prompt.
    """
    positions = (
        "null" if each is None else _write_position(each, num_top, vocabulary) for each in logprobs
    )
    return f"[{', '.join(positions)}]"


def _write_position(token: TokenLogprob, num_top: int, vocabulary: Vocabulary) -> str:
    ranked = {token.token_id: (token.logprob, token.rank)}
    for rank, (token_id, logprob) in enumerate(token.top[:num_top], 1):
        ranked.setdefault(token_id, (logprob, rank))
    members = (
        f'"{token_id}": {{"logprob": {max(logprob, LEAST_LOGPROB)!r}, "rank": {rank}, '
        f'"decoded_token": {json.dumps(vocabulary.token_text(token_id).text)}}}'
        for token_id, (logprob, rank) in ranked.items()
    )
    return f"{{{', '.join(members)}}}"
