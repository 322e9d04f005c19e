"""Log probabilities of an answer's tokens: of all tokens, or only of those in its text."""

from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from server.checkpoint.vocabulary import Vocabulary, build_token_text
from server.engine.base import TokenLogprob
from server.generation.choice_delta import DecodedToken, TopToken

# JSON has no minus infinity; OpenAI's API sends this instead.
LEAST_LOGPROB = -9999.0


class LogprobsReader(Protocol):
    """Reads the log probabilities of one answer, output by output."""

    @abstractmethod
    def read(
        self, tokens: Sequence[TokenLogprob], text: str, *, ended: bool
    ) -> Iterable[DecodedToken]:
        """Return the tokens to report now; `text` is the answer's new text."""

    @abstractmethod
    def skip(self, text: str) -> None:
        """Skip leading text that was stripped from the answer."""


class AllTokensReader:
    """For text completions: reports all tokens immediately, including the stop token.

    Special tokens have no bytes where they are not part of the text.
    """

    def __init__(
        self, vocabulary: Vocabulary, num_top: int, *, skip_special_tokens: bool = True
    ) -> None:
        self._vocabulary = vocabulary
        self._num_top = num_top
        self._skip_special_tokens = skip_special_tokens

    def read(
        self,
        tokens: Sequence[TokenLogprob],
        text: str,  # noqa: ARG002 - as above
        *,
        ended: bool,  # noqa: ARG002
    ) -> Iterator[DecodedToken]:
        """Yield the tokens."""
        for token in tokens:
            decoded = decode_token(self._vocabulary, token, self._num_top)
            if self._skip_special_tokens and self._vocabulary.is_special(token.token_id):
                token_text = build_token_text(b"", decoded.token)
                decoded = replace(decoded, token_text=token_text)
            yield decoded

    def skip(self, text: str) -> None:
        """Do nothing: all tokens are reported."""


class VisibleTokensReader:
    """For chats: reports the tokens whose bytes make up the answer's text, and no others.

    The engine holds text back while it may be the start of a stop string. By default it emits no
    stop strings and no special tokens.
    """

    def __init__(
        self, vocabulary: Vocabulary, num_top: int, *, skip_special_tokens: bool = True
    ) -> None:
        self._vocabulary = vocabulary
        self._num_top = num_top
        self._skip_special_tokens = skip_special_tokens
        self._aligner = TokenAligner()

    def skip(self, text: str) -> None:
        """Skip leading text that was stripped from the answer."""
        self._aligner.skip(text)

    def read(
        self, tokens: Sequence[TokenLogprob], text: str, *, ended: bool
    ) -> Iterator[DecodedToken]:
        """Yield the tokens within the text so far, the last one even if the text ends inside it."""
        self._aligner.add_tokens(
            decode_token(self._vocabulary, token, self._num_top)
            for token in tokens
            if not (self._skip_special_tokens and self._vocabulary.is_special(token.token_id))
        )
        return self._aligner.advance(text, include_partial=ended)


class TokenAligner:
    """Holds tokens back until the text that they decode to has been emitted.

    Counts bytes, since a character may take several tokens.
    """

    def __init__(self) -> None:
        self._pending: deque[DecodedToken] = deque()
        self._text_bytes = 0
        self._token_bytes = 0  # of released tokens
        self._bytes_to_skip = 0  # of leading white space

    def skip(self, text: str) -> None:
        """Skip leading text: the tokens decode to it, but it is not emitted."""
        self._bytes_to_skip += len(text.encode())

    def add_tokens(self, tokens: Iterable[DecodedToken]) -> None:
        """Add tokens; their text may follow later."""
        self._pending += tokens

    def advance(self, text: str, *, include_partial: bool) -> Iterator[DecodedToken]:
        """Append emitted text, and yield the tokens that end within the text so far.

        With `include_partial`, tokens that only start within it are yielded too.
        """
        self._text_bytes += len(text.encode())
        while self._pending:
            token = self._pending[0]
            skipped = min(self._bytes_to_skip, len(token.bytes))
            end = self._token_bytes + len(token.bytes) - skipped
            starts_within = self._token_bytes < self._text_bytes
            if end > self._text_bytes and not (include_partial and starts_within):
                break
            self._pending.popleft()
            self._bytes_to_skip -= skipped
            self._token_bytes = end
            if len(token.bytes) > skipped:
                yield _drop_leading_bytes(token, skipped)


def decode_token(vocabulary: Vocabulary, token: TokenLogprob, num_top: int) -> DecodedToken:
    """Return a token with its text and bytes, and the `num_top` likeliest at its position."""
    get_text = vocabulary.token_text
    top = [
        TopToken(get_text(token_id), logprob if logprob > LEAST_LOGPROB else LEAST_LOGPROB)
        for token_id, logprob in token.top[:num_top]
    ]
    return DecodedToken(get_text(token.token_id), max(token.logprob, LEAST_LOGPROB), top)


def _drop_leading_bytes(token: DecodedToken, count: int) -> DecodedToken:
    """Return a token without skipped white space; likewise the top tokens that start with it."""
    if not count:
        return token
    space, rest = token.bytes[:count], token.bytes[count:]
    top = [
        TopToken(build_token_text(each.bytes[count:], name=each.token_text.name), each.logprob)
        if each.bytes.startswith(space)
        else each
        for each in token.top
    ]
    return DecodedToken(build_token_text(rest, name=token.token_text.name), token.logprob, top)
