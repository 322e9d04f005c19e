"""Output items, each written piece by piece."""

import secrets
from collections.abc import Iterator, Sequence

from server.protocol.chat.response import ChatTokenLogprob
from server.protocol.responses.events import (
    AnyEvent,
    ArgumentsDelta,
    ArgumentsDone,
    ItemEvent,
    PartEvent,
    TextDelta,
    TextDone,
)
from server.protocol.responses.response import (
    OutputFunctionCall,
    OutputMessage,
    OutputText,
    Status,
)
from server.tools.content import ToolCallStart


class MessageWriter:
    """Writes a message of one text; `index` is its place in the output."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._id = f"msg_{secrets.token_hex(16)}"
        self._text = ""
        self._logprobs: list[ChatTokenLogprob] = []

    def begin(self) -> Iterator[AnyEvent]:
        """Yield what announces the message and its text."""
        item = OutputMessage(id=self._id, status="in_progress", content=[])
        yield ItemEvent(type="response.output_item.added", output_index=self._index, item=item)
        yield PartEvent(
            type="response.content_part.added",
            item_id=self._id,
            output_index=self._index,
            part=OutputText(text=""),
        )

    def add(self, text: str, logprobs: Sequence[ChatTokenLogprob]) -> TextDelta:
        """Append text, and the log probabilities of tokens."""
        self._text += text
        self._logprobs += logprobs
        return TextDelta(
            item_id=self._id, output_index=self._index, delta=text, logprobs=list(logprobs)
        )

    def end(self, status: Status) -> Iterator[AnyEvent]:
        """Yield what closes the text and the message."""
        item = self.item(status)
        yield TextDone(
            item_id=self._id, output_index=self._index, text=self._text, logprobs=self._logprobs
        )
        yield PartEvent(
            type="response.content_part.done",
            item_id=self._id,
            output_index=self._index,
            part=item.content[0],
        )
        yield ItemEvent(type="response.output_item.done", output_index=self._index, item=item)

    def item(self, status: Status) -> OutputMessage:
        """Return the message as far as it has come."""
        text = OutputText(text=self._text, logprobs=self._logprobs)
        return OutputMessage(id=self._id, status=status, content=[text])


class CallWriter:
    """Writes the call of a function."""

    def __init__(self, index: int, call: ToolCallStart) -> None:
        self._index = index
        self._id = f"fc_{secrets.token_hex(16)}"
        self._call = call
        self._arguments = ""

    def begin(self) -> Iterator[AnyEvent]:
        """Yield what announces the call."""
        item = self.item("in_progress")
        yield ItemEvent(type="response.output_item.added", output_index=self._index, item=item)

    def add(self, arguments: str) -> ArgumentsDelta:
        """Append JSON text."""
        self._arguments += arguments
        return ArgumentsDelta(item_id=self._id, output_index=self._index, delta=arguments)

    def end(self, status: Status) -> Iterator[AnyEvent]:
        """Yield what closes the call."""
        yield ArgumentsDone(item_id=self._id, output_index=self._index, arguments=self._arguments)
        item = self.item(status)
        yield ItemEvent(type="response.output_item.done", output_index=self._index, item=item)

    def item(self, status: Status) -> OutputFunctionCall:
        """Return the call as far as it has come."""
        return OutputFunctionCall(
            id=self._id,
            status=status,
            call_id=self._call.id,
            name=self._call.name,
            arguments=self._arguments,
        )
