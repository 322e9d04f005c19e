"""The prompt echoed before the completion (`echo`)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import TokenLogprob
from server.generation.choice_delta import DecodedToken
from server.generation.logprobs import AllTokensReader


@dataclass(frozen=True, slots=True)
class PromptEcho:
    """A prompt's text, and its tokens if log probabilities are requested.

    `prefix_length` counts the characters that the tokens decode to before the text: SentencePiece
    puts a space there.
    """

    text: str
    tokens: Sequence[DecodedToken] = ()
    prefix_length: int = 0


def decode_prompt_tokens(
    token_ids: Sequence[int],
    logprobs: Sequence[TokenLogprob | None],
    vocabulary: Vocabulary,
    num_top: int,
) -> Iterator[DecodedToken]:
    """Yield a prompt's tokens, the first of them without a log probability."""
    reader = AllTokensReader(vocabulary, num_top)
    for token_id, logprob in zip(token_ids, logprobs, strict=True):
        token_logprob = logprob or TokenLogprob(token_id, 0.0, ())
        for token in reader.read([token_logprob], "", ended=False):
            yield token if logprob else DecodedToken(token.token_text, None)
