"""Log probabilities of the tokens that are shown, and of no others."""

from collections.abc import Iterator, Sequence

from server.answer.delta import Alternative, ShownToken
from server.engine.base import TokenLogprob
from server.vocabulary import Vocabulary

# JSON has no minus infinity; this is what OpenAI's API says instead.
LEAST_LOGPROB = -9999.0


class LogprobReader:
    """Keeps tokens back until the text that they spell has been shown.

    The engine holds text back while it may be the begin of a stop string, and never shows such a
    string or a special token; the tokens of an answer then spell its text, byte for byte.
    """

    def __init__(self, vocabulary: Vocabulary, top: int) -> None:
        self._vocabulary = vocabulary
        self._top = top
        self._waiting: list[ShownToken] = []
        self._shown = 0  # bytes of text
        self._told = 0  # bytes of tokens
        self._skip = 0  # bytes of white space at the begin that are not shown

    def skip(self, text: str) -> None:
        """Note text at the answer's begin that is not shown."""
        self._skip += len(text.encode())

    def read(
        self, tokens: Sequence[TokenLogprob], text: str, *, ended: bool
    ) -> Iterator[ShownToken]:
        """Yield the tokens that begin within the text so far, of which `text` is new."""
        self._waiting += [
            self._shown_token(token)
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

    def _shown_token(self, token: TokenLogprob) -> ShownToken:
        spelt = self._vocabulary.token_bytes(token.token_id)
        top = [
            Alternative(_text(each), _finite(logprob), each)
            for token_id, logprob in token.top[: self._top]
            for each in [self._vocabulary.token_bytes(token_id)]
        ]
        return ShownToken(_text(spelt), _finite(token.logprob), spelt, top)


def _cut(token: ShownToken, skipped: int) -> ShownToken:
    if not skipped:
        return token
    rest = token.bytes[skipped:]
    return ShownToken(_text(rest), token.logprob, rest, token.top)


def _text(spelt: bytes) -> str:
    return spelt.decode(errors="replace")


def _finite(logprob: float) -> float:
    return max(logprob, LEAST_LOGPROB)
