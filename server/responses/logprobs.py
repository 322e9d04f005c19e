"""The log probabilities that belong to a response's text, as a response shows them."""

from collections import deque
from collections.abc import Sequence

from server.answer.delta import ShownToken
from server.protocol.response import TokenLogprob, TopLogprob


class TextLogprobs:
    """Hands out the tokens that spell an answer's first text; those of calls come after it."""

    def __init__(self) -> None:
        self._waiting: deque[ShownToken] = deque()
        self._shown = 0  # bytes of text
        self._told = 0  # bytes of tokens

    def add(self, tokens: Sequence[ShownToken]) -> None:
        """Take in tokens, whose text may come later."""
        self._waiting += tokens

    def of(self, text: str) -> list[TokenLogprob]:
        """Return the tokens that begin within the text so far, of which `text` is new."""
        self._shown += len(text.encode())
        told = []
        while self._waiting and self._told < self._shown:
            token = self._waiting.popleft()
            self._told += len(token.bytes)
            told.append(_token_logprob(token))
        return told


def _token_logprob(token: ShownToken) -> TokenLogprob:
    return TokenLogprob(
        token=token.token,
        logprob=token.logprob,
        bytes=list(token.bytes),
        top_logprobs=[
            TopLogprob(token=each.token, logprob=each.logprob, bytes=list(each.bytes))
            for each in token.top
        ],
    )
