"""The deltas that a parser splits generated text into: text and parts of tool calls."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.protocol.chat.response import FinishReason


@dataclass(frozen=True, slots=True)
class ToolCallStart:
    """The first delta of a tool call; `index` is its position in `message.tool_calls`."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolCallArguments:
    """A later delta of a tool call: JSON text to append to its arguments."""

    index: int
    arguments: str


def make_tool_call_id() -> str:
    """Return a new tool call id in OpenAI's form."""
    return f"call_{secrets.token_hex(12)}"


ContentDelta = str | ToolCallStart | ToolCallArguments


class ContentParser(Protocol):
    """Splits the generated text of one choice into deltas, incrementally."""

    def parse(
        self, text: str, token_ids: Sequence[int], finish_reason: FinishReason | None
    ) -> Iterator[ContentDelta]:
        """Yield the deltas that are certain by now; with a finish reason, all that remain.

        `text` was decoded from `token_ids`, which include special tokens. A possible start of a
        call's markup that the token limit has cut off is not text.
        """
        ...
