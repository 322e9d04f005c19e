"""A message's content: writes deltas as events and collects the blocks."""

from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

from server.generation.choice_delta import ChoiceDelta
from server.protocol.chat.response import FinishReason
from server.protocol.messages.events import (
    AnyEvent,
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    InputJsonDelta,
    TextDelta,
)
from server.protocol.messages.response import OutputBlock, OutputTextBlock, OutputToolUseBlock
from server.tools.content import ToolCallStart


class ContentWriter:
    """Writes blocks one after the other; `blocks` holds the finished ones."""

    def __init__(self) -> None:
        self.blocks: list[OutputBlock] = []
        self.finish_reason: FinishReason | None = None
        self.stop_string: str | None = None
        self._block: OutputBlock | None = None  # as it started
        self._text = ""  # the block's text, or the JSON text of its input

    @property
    def has_calls(self) -> bool:
        """Whether any block is a call."""
        return any(isinstance(block, OutputToolUseBlock) for block in self.blocks)

    def write(self, delta: ChoiceDelta) -> Iterator[AnyEvent]:
        """Yield the events of a delta."""
        for content in delta.content:
            if isinstance(content, str):
                yield from self._write_text(content)
            elif isinstance(content, ToolCallStart):
                yield from self._start(_build_call(content))
            else:
                yield self._append(
                    content.arguments, InputJsonDelta(partial_json=content.arguments)
                )
        if delta.finish_reason is not None:
            self.finish_reason, self.stop_string = delta.finish_reason, delta.stop_string
            yield from self._end()

    def _write_text(self, text: str) -> Iterator[AnyEvent]:
        if not isinstance(self._block, OutputTextBlock):
            if self._block is not None and not text.strip():
                return  # white space between calls is not a block
            yield from self._start(OutputTextBlock(text=""))
        yield self._append(text, TextDelta(text=text))

    def _start(self, block: OutputBlock) -> Iterator[AnyEvent]:
        yield from self._end()
        self._block, self._text = block, ""
        yield ContentBlockStart(index=len(self.blocks), content_block=block)

    def _append(self, text: str, delta: TextDelta | InputJsonDelta) -> AnyEvent:
        self._text += text
        return ContentBlockDelta(index=len(self.blocks), delta=delta)

    def _end(self) -> Iterator[AnyEvent]:
        if self._block is None:
            return
        yield ContentBlockStop(index=len(self.blocks))
        self.blocks.append(_complete(self._block, self._text))
        self._block = None


def _build_call(call: ToolCallStart) -> OutputToolUseBlock:
    call_id = f"toolu_{call.id.removeprefix('call_')}"
    return OutputToolUseBlock(id=call_id, name=call.name, input={})


def _complete(block: OutputBlock, text: str) -> OutputBlock:
    if isinstance(block, OutputTextBlock):
        return OutputTextBlock(text=text)
    return block.model_copy(update={"input": _parse_input(text)})


def _parse_input(arguments: str) -> dict[str, Any]:
    """Parse a call's arguments, as far as possible if the token limit cut them."""
    try:
        parsed = from_json(arguments, allow_partial="trailing-strings")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
