"""What an answer's text is taken apart into: text and pieces of tool calls."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ToolCallStart:
    """The first piece of a tool call; `index` counts the answer's calls."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolCallArguments:
    """A further piece of a tool call: JSON text to append to its arguments."""

    index: int
    arguments: str


def new_tool_call_id() -> str:
    """Return an id for a tool call, as OpenAI's look."""
    return f"call_{secrets.token_hex(12)}"


ContentDelta = str | ToolCallStart | ToolCallArguments


class ContentParser(Protocol):
    """Takes one answer's text apart as it comes."""

    def parse(self, text: str, token_ids: Sequence[int], *, ended: bool) -> Iterator[ContentDelta]:
        """Yield what can be told by now; once the answer has `ended`, all that is left.

        `token_ids` are those that the text was decoded from, special ones included.
        """
        ...
