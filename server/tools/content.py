"""Content deltas: the text and the tool calls that an answer is parsed into."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ToolCallStart:
    """The start of a tool call; `index` counts the answer's calls."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolCallArguments:
    """JSON text to append to the arguments of call `index`."""

    index: int
    arguments: str


def new_tool_call_id() -> str:
    """Return an id for a tool call, in the form of OpenAI's."""
    return f"call_{secrets.token_hex(12)}"


ContentDelta = str | ToolCallStart | ToolCallArguments


class ContentParser(Protocol):
    """Parses one answer's text incrementally."""

    def parse(self, text: str, token_ids: Sequence[int], *, ended: bool) -> Iterator[ContentDelta]:
        """Yield the deltas that `text` completes; once the answer has `ended`, all the rest.

        `token_ids` are those that the text was decoded from, special ones included.
        """
        ...
