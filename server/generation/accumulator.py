"""An answer collected from its deltas."""

from dataclasses import dataclass, field

from server.generation.choice_delta import ChoiceDelta, DecodedToken, FinishReason
from server.tools.content import ToolCallStart


@dataclass(slots=True)
class AccumulatedToolCall:
    """A tool call; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str = ""


@dataclass(slots=True)
class MessageAccumulator:
    """All that one answer consists of."""

    text: str = ""
    calls: list[AccumulatedToolCall] = field(default_factory=list)
    logprobs: list[DecodedToken] = field(default_factory=list)
    finish_reason: FinishReason = "stop"

    def add(self, delta: ChoiceDelta) -> None:
        """Take in what the answer gains."""
        for piece in delta.pieces:
            if isinstance(piece, str):
                self.text += piece
            elif isinstance(piece, ToolCallStart):
                self.calls.append(AccumulatedToolCall(piece.id, piece.name))
            else:
                self.calls[piece.index].arguments += piece.arguments
        self.logprobs += delta.logprobs
        self.finish_reason = delta.finish_reason or self.finish_reason
