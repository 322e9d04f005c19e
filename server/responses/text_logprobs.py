"""The log probabilities that belong to a response's text, as a response shows them."""

from collections import deque
from collections.abc import Sequence

from server.generation.choice_delta import DecodedToken
from server.protocol.chat.response import ChatTokenLogprob, TopLogprob


class TextLogprobsAligner:
    """Hands out the tokens that spell an answer's first text; those of calls come after it."""

    def __init__(self) -> None:
        self._waiting: deque[DecodedToken] = deque()
        self._shown = 0  # bytes of text
        self._told = 0  # bytes of tokens

    def add(self, tokens: Sequence[DecodedToken]) -> None:
        """Take in tokens, whose text may come later."""
        self._waiting += tokens

    def of(self, text: str) -> list[ChatTokenLogprob]:
        """Return the tokens that begin within the text so far, of which `text` is new."""
        self._shown += len(text.encode())
        told = []
        while self._waiting and self._told < self._shown:
            token = self._waiting.popleft()
            self._told += len(token.bytes)
            told.append(_token_logprob(token))
        return told


def _token_logprob(token: DecodedToken) -> ChatTokenLogprob:
    return ChatTokenLogprob(
        token=token.token,
        logprob=token.logprob,
        bytes=list(token.bytes),
        top_logprobs=[
            TopLogprob(token=each.token, logprob=each.logprob, bytes=list(each.bytes))
            for each in token.top
        ],
    )
