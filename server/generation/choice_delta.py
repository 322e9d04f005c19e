"""What one answer gains by one output of the engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from server.tools.content import ContentDelta

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class TopToken:
    """A token that might have stood in a place."""

    token: str
    logprob: float
    bytes: bytes


@dataclass(frozen=True, slots=True)
class DecodedToken:
    """A token of the shown text, its log probability and the likeliest ones in its place.

    A prompt's first token has no log probability.
    """

    token: str
    logprob: float | None
    bytes: bytes
    top: Sequence[TopToken] = ()


@dataclass(frozen=True, slots=True)
class ChoiceDelta:
    """Pieces in their order; `finish_reason` is set on an answer's last delta only."""

    index: int
    pieces: Sequence[ContentDelta] = ()
    logprobs: Sequence[DecodedToken] = ()
    finish_reason: FinishReason | None = None
