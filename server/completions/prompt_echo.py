"""A prompt as the begin of its answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import TokenLogprob
from server.generation.choice_delta import DecodedToken
from server.generation.logprobs import AllTokensReader


@dataclass(frozen=True, slots=True)
class PromptEcho:
    """A prompt's text, and its tokens where log probabilities are asked for.

    `hidden` counts the characters that the tokens spell in front of the text: SentencePiece puts a
    space there.
    """

    text: str
    tokens: Sequence[DecodedToken] = ()
    hidden: int = 0


def decode_prompt_tokens(
    token_ids: Sequence[int],
    logprobs: Sequence[TokenLogprob | None],
    vocabulary: Vocabulary,
    top: int,
) -> Iterator[DecodedToken]:
    """Yield a prompt's tokens, the first of them without a log probability."""
    reader = AllTokensReader(vocabulary, top)
    for token_id, logprob in zip(token_ids, logprobs, strict=True):
        known = logprob or TokenLogprob(token_id, 0.0, ())
        for token in reader.read([known], "", ended=False):
            yield token if logprob else DecodedToken(token.token, None, token.bytes)
