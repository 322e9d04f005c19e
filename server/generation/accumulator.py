"""A choice's complete message, accumulated from its deltas."""

from dataclasses import dataclass, field

from server.generation.choice_delta import ChoiceDelta, DecodedToken
from server.protocol.chat.response import FinishReason
from server.tools.content import ToolCallStart


@dataclass(slots=True)
class AccumulatedToolCall:
    """A tool call; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str = ""


@dataclass(slots=True)
class MessageAccumulator:
    """The message so far: text, tool calls, log probabilities, finish reason, token ids."""

    text: str = ""
    calls: list[AccumulatedToolCall] = field(default_factory=list)
    logprobs: list[DecodedToken] = field(default_factory=list)
    finish_reason: FinishReason = "stop"
    token_ids: list[int] = field(default_factory=list)

    def add(self, delta: ChoiceDelta) -> None:
        """Append a delta."""
        for content in delta.content:
            if isinstance(content, str):
                self.text += content
            elif isinstance(content, ToolCallStart):
                self.calls.append(AccumulatedToolCall(content.id, content.name))
            else:
                self.calls[content.index].arguments += content.arguments
        self.logprobs += delta.logprobs
        self.token_ids += delta.token_ids
        self.finish_reason = delta.finish_reason or self.finish_reason
