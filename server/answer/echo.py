"""A prompt as the begin of its answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.answer.delta import ShownToken
from server.answer.logprobs import EveryToken
from server.engine.base import TokenLogprob
from server.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Echo:
    """A prompt's text, and its tokens where log probabilities are asked for.

    `hidden` counts the characters that the tokens spell in front of the text: SentencePiece puts a
    space there.
    """

    text: str
    tokens: Sequence[ShownToken] = ()
    hidden: int = 0


def echo_tokens(
    token_ids: Sequence[int],
    logprobs: Sequence[TokenLogprob | None],
    vocabulary: Vocabulary,
    top: int,
) -> Iterator[ShownToken]:
    """Yield a prompt's tokens, the first of them without a log probability."""
    reader = EveryToken(vocabulary, top)
    for token_id, logprob in zip(token_ids, logprobs, strict=True):
        known = logprob or TokenLogprob(token_id, 0.0, ())
        for token in reader.read([known], "", ended=False):
            yield token if logprob else ShownToken(token.token, None, token.bytes)
