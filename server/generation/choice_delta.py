"""The delta that one engine output adds to a choice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from server.checkpoint.vocabulary import TokenText
from server.protocol.chat.response import FinishReason
from server.tools.content import ContentDelta


class TopToken(NamedTuple):
    """One of the likeliest tokens at a position."""

    token_text: TokenText
    logprob: float

    @property
    def token(self) -> str:
        """The token's text."""
        return self.token_text.text

    @property
    def bytes(self) -> bytes:
        """The token's bytes."""
        return self.token_text.bytes


@dataclass(frozen=True, slots=True)
class DecodedToken:
    """A token, its log probability and the likeliest tokens at its position.

    A prompt's first token has no log probability.
    """

    token_text: TokenText
    logprob: float | None
    top: Sequence[TopToken] = ()

    @property
    def token(self) -> str:
        """The token's text."""
        return self.token_text.text

    @property
    def bytes(self) -> bytes:
        """The token's bytes."""
        return self.token_text.bytes


@dataclass(frozen=True, slots=True)
class ChoiceDelta:
    """New content of choice `index`, in order; only its last delta has a `finish_reason`.

    `stop_string` is the stop string that ended the choice, if any.
    `token_ids` are those of the engine's output, if requested.
    """

    index: int
    content: Sequence[ContentDelta] = ()
    logprobs: Sequence[DecodedToken] = ()
    finish_reason: FinishReason | None = None
    token_ids: Sequence[int] = ()
    stop_string: str | None = None

    @property
    def text(self) -> str:
        """The new text, without tool calls."""
        return "".join(content for content in self.content if isinstance(content, str))
