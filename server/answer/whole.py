"""An answer collected from its deltas."""

from dataclasses import dataclass, field

from server.answer.delta import Delta, FinishReason, ShownToken
from server.pieces import CallBegins


@dataclass(slots=True)
class WholeCall:
    """A tool call; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str = ""


@dataclass(slots=True)
class WholeAnswer:
    """All that one answer consists of."""

    text: str = ""
    calls: list[WholeCall] = field(default_factory=list)
    logprobs: list[ShownToken] = field(default_factory=list)
    finish_reason: FinishReason = "stop"

    def add(self, delta: Delta) -> None:
        """Take in what the answer gains."""
        for piece in delta.pieces:
            if isinstance(piece, str):
                self.text += piece
            elif isinstance(piece, CallBegins):
                self.calls.append(WholeCall(piece.id, piece.name))
            else:
                self.calls[piece.index].arguments += piece.arguments
        self.logprobs += delta.logprobs
        self.finish_reason = delta.finish_reason or self.finish_reason
