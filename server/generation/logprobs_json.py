"""Log probabilities of chats as JSON text: pydantic models would take twenty times as long.

The content is that of `server.protocol.chat.response.ChatTokenLogprob`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeVar

from server.generation.choice_delta import DecodedToken

T = TypeVar("T")

# Tokens to format before other requests get their turn: about a millisecond.
SLICE: Final = 64


async def iterate_slices(tokens: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Yield slices of the tokens, and let the event loop run in between."""
    for start in range(0, len(tokens), SLICE):
        if start:
            await asyncio.sleep(0)
        yield tokens[start : start + SLICE]


async def format_tokens(tokens: Sequence[DecodedToken]) -> list[str]:
    """Return the JSON object of each token, with the likeliest tokens at its position."""
    return [_format_token(token) async for each in iterate_slices(tokens) for token in each]


def _format_token(token: DecodedToken) -> str:
    logprob = "null" if token.logprob is None else repr(token.logprob)
    top = [f'{{{text.json}, "logprob": {each!r}}}' for text, each in token.top]
    return f'{{{token.token_text.json}, "logprob": {logprob}, "top_logprobs": [{", ".join(top)}]}}'
