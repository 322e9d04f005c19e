"""Truncates prompts to their last tokens (`truncate_prompt_tokens`), never within an image."""

from dataclasses import replace
from typing import Final

from server.errors import InvalidValue
from server.prompt.prompt import Prompt
from server.protocol.sampling import SamplingFields

PARAM: Final = "truncate_prompt_tokens"


def resolve_truncation(
    request: SamplingFields, token_limit: int | None, max_model_len: int
) -> int | None:
    """Return the number of tokens to keep, None for all; -1 keeps as many as leave room to answer.

    Raises `InvalidValue` for none, or for more than the context.
    """
    num_tokens = request.truncate_prompt_tokens
    if num_tokens == -1:
        return max(max_model_len - (token_limit or 1), 1)
    if num_tokens is not None and not 1 <= num_tokens <= max_model_len:
        raise InvalidValue(
            f"'{PARAM}' must be -1, or from 1 to the context's {max_model_len} tokens.", PARAM
        )
    return num_tokens


def truncate_prompt(prompt: Prompt, num_tokens: int | None) -> Prompt:
    """Keep the last tokens of a prompt. Raises `InvalidValue` if that would cut an image."""
    excess = 0 if num_tokens is None else len(prompt.token_ids) - num_tokens
    if excess <= 0:
        return prompt
    if prompt.placeholders and prompt.placeholders[0].offset < excess:
        length = len(prompt.token_ids)
        raise InvalidValue(
            f"The prompt has {length} tokens, and without the first {excess} an image would be"
            f" cut: '{PARAM}' must be at least {length - prompt.placeholders[0].offset}.",
            PARAM,
        )
    placeholders = [replace(each, offset=each.offset - excess) for each in prompt.placeholders]
    return Prompt(prompt.token_ids[excess:], placeholders)
