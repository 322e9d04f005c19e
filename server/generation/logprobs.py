"""Log probabilities of an answer's tokens: of those that are shown, or of all."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import TokenLogprob
from server.generation.choice_delta import DecodedToken, TopToken

# JSON has no minus infinity; this is what OpenAI's API says instead.
LEAST_LOGPROB = -9999.0


class LogprobsReader(Protocol):
    """Tells of an answer's tokens as they come."""

    @abstractmethod
    def read(
        self, tokens: Sequence[TokenLogprob], text: str, *, ended: bool
    ) -> Iterable[DecodedToken]:
        """Return what can be told by now of the answer, of which `text` is new."""

    @abstractmethod
    def skip(self, text: str) -> None:
        """Note text at the answer's begin that is not shown."""


class AllTokensReader:
    """For text completions: all tokens at once, also those that end an answer.

    The bytes of a token that is never shown are none.
    """

    def __init__(self, vocabulary: Vocabulary, top: int) -> None:
        self._vocabulary = vocabulary
        self._top = top

    def read(
        self,
        tokens: Sequence[TokenLogprob],
        text: str,  # noqa: ARG002 - as above
        *,
        ended: bool,  # noqa: ARG002
    ) -> Iterator[DecodedToken]:
        """Yield the tokens."""
        for token in tokens:
            shown = decode_token(self._vocabulary, token, self._top)
            special = self._vocabulary.is_special(token.token_id)
            yield replace(shown, bytes=b"") if special else shown

    def skip(self, text: str) -> None:
        """Do nothing: tokens do not depend on what is shown."""


class VisibleTokensReader:
    """Keeps tokens back until the text that they spell has been shown.

    The engine holds text back while it may be the begin of a stop string, and never shows such a
    string or a special token; the tokens of an answer then spell its text, byte for byte.
    """

    def __init__(self, vocabulary: Vocabulary, top: int) -> None:
        self._vocabulary = vocabulary
        self._top = top
        self._waiting: list[DecodedToken] = []
        self._shown = 0  # bytes of text
        self._told = 0  # bytes of tokens
        self._skip = 0  # bytes of white space at the begin that are not shown

    def skip(self, text: str) -> None:
        """Note text at the answer's begin that is not shown."""
        self._skip += len(text.encode())

    def read(
        self, tokens: Sequence[TokenLogprob], text: str, *, ended: bool
    ) -> Iterator[DecodedToken]:
        """Yield the tokens that begin within the text so far, of which `text` is new."""
        self._waiting += [
            decode_token(self._vocabulary, token, self._top)
            for token in tokens
            if not self._vocabulary.is_special(token.token_id)
        ]
        self._shown += len(text.encode())
        while self._waiting:
            token = self._waiting[0]
            skipped = min(self._skip, len(token.bytes))
            end = self._told + len(token.bytes) - skipped
            if end > self._shown and not (ended and self._told < self._shown):
                break
            self._waiting.pop(0)
            self._skip -= skipped
            self._told = end
            if len(token.bytes) > skipped:
                yield _cut(token, skipped)


def decode_token(vocabulary: Vocabulary, token: TokenLogprob, num_top: int) -> DecodedToken:
    """Return a token with what it spells, and `num_top` of the likeliest ones in its place."""
    spelt = vocabulary.token_bytes(token.token_id)
    top = [
        TopToken(_text(each), _finite(logprob), each)
        for token_id, logprob in token.top[:num_top]
        for each in [vocabulary.token_bytes(token_id)]
    ]
    return DecodedToken(_text(spelt), _finite(token.logprob), spelt, top)


def _cut(token: DecodedToken, skipped: int) -> DecodedToken:
    """Return a token, and those in its place, without white space that is not shown."""
    if not skipped:
        return token
    space, rest = token.bytes[:skipped], token.bytes[skipped:]
    top = [
        replace(each, token=_text(each.bytes[skipped:]), bytes=each.bytes[skipped:])
        if each.bytes.startswith(space)
        else each
        for each in token.top
    ]
    return DecodedToken(_text(rest), token.logprob, rest, top)


def _text(spelt: bytes) -> str:
    return spelt.decode(errors="replace")


def _finite(logprob: float) -> float:
    return max(logprob, LEAST_LOGPROB)
