"""The delta that one engine output adds to a choice."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.protocol.chat.response import FinishReason
from server.tools.content import ContentDelta


@dataclass(frozen=True, slots=True)
class TopToken:
    """One of the likeliest tokens at a position."""

    token: str
    logprob: float
    bytes: bytes


@dataclass(frozen=True, slots=True)
class DecodedToken:
    """A token's text and bytes, its log probability and the likeliest tokens at its position.

    A prompt's first token has no log probability.
    """

    token: str
    logprob: float | None
    bytes: bytes
    top: Sequence[TopToken] = ()


@dataclass(frozen=True, slots=True)
class ChoiceDelta:
    """New content of choice `index`, in order; only its last delta has a `finish_reason`."""

    index: int
    content: Sequence[ContentDelta] = ()
    logprobs: Sequence[DecodedToken] = ()
    finish_reason: FinishReason | None = None

    @property
    def text(self) -> str:
        """The new text, without tool calls."""
        return "".join(content for content in self.content if isinstance(content, str))
