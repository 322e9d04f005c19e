"""Writers of output items: a message or a function call, as events and as the complete item."""

import secrets
from collections.abc import Iterator, Sequence

from server.generation.choice_delta import DecodedToken
from server.protocol.responses.events import (
    AnyEvent,
    ArgumentsDelta,
    ArgumentsDone,
    ItemEvent,
    PartEvent,
    TextDone,
)
from server.protocol.responses.response import (
    ItemStatus,
    OutputFunctionCall,
    OutputMessage,
    OutputText,
)
from server.responses.logprobs import TextDelta, TextLogprobs
from server.tools.content import ToolCallStart


class MessageWriter:
    """Writes a message with one text part.

    Log probabilities are added to `logprobs`; events and items get them when they are dumped.
    """

    def __init__(self, index: int, logprobs: TextLogprobs) -> None:
        """`index` is the message's index in the output."""
        self._index = index
        self._id = f"msg_{secrets.token_hex(16)}"
        self._text = ""
        self._logprobs = logprobs

    def write_start(self) -> Iterator[AnyEvent]:
        """Yield the events that add the message and its text part."""
        item = OutputMessage(id=self._id, status="in_progress", content=[])
        yield ItemEvent(type="response.output_item.added", output_index=self._index, item=item)
        yield PartEvent(
            type="response.content_part.added",
            item_id=self._id,
            output_index=self._index,
            part=OutputText(text=""),
        )

    def write_text(self, text: str, tokens: Sequence[DecodedToken]) -> TextDelta:
        """Append text and the log probabilities of its tokens; return the event."""
        self._text += text
        self._logprobs.add(tokens)
        event = TextDelta(item_id=self._id, output_index=self._index, delta=text, logprobs=[])
        return event.attach(tokens)

    def write_end(self, status: ItemStatus) -> Iterator[AnyEvent]:
        """Yield the events that end the text part and the message."""
        item = self.build_item(status)
        yield TextDone(item_id=self._id, output_index=self._index, text=self._text, logprobs=[])
        yield PartEvent(
            type="response.content_part.done",
            item_id=self._id,
            output_index=self._index,
            part=item.content[0],
        )
        yield ItemEvent(type="response.output_item.done", output_index=self._index, item=item)

    def build_item(self, status: ItemStatus) -> OutputMessage:
        """Return the message so far."""
        text = OutputText(text=self._text)
        return OutputMessage(id=self._id, status=status, content=[text])


class FunctionCallWriter:
    """Writes a function call; `index` is its index in the output."""

    def __init__(self, index: int, call: ToolCallStart) -> None:
        self._index = index
        self._id = f"fc_{secrets.token_hex(16)}"
        self._call = call
        self._arguments = ""

    def write_start(self) -> Iterator[AnyEvent]:
        """Yield the event that adds the call."""
        item = self.build_item("in_progress")
        yield ItemEvent(type="response.output_item.added", output_index=self._index, item=item)

    def write_arguments(self, arguments: str) -> ArgumentsDelta:
        """Append JSON text; return the event."""
        self._arguments += arguments
        return ArgumentsDelta(item_id=self._id, output_index=self._index, delta=arguments)

    def write_end(self, status: ItemStatus) -> Iterator[AnyEvent]:
        """Yield the events that end the arguments and the call."""
        yield ArgumentsDone(
            item_id=self._id,
            output_index=self._index,
            name=self._call.name,
            arguments=self._arguments,
        )
        item = self.build_item(status)
        yield ItemEvent(type="response.output_item.done", output_index=self._index, item=item)

    def build_item(self, status: ItemStatus) -> OutputFunctionCall:
        """Return the call so far."""
        return OutputFunctionCall(
            id=self._id,
            status=status,
            call_id=self._call.id,
            name=self._call.name,
            arguments=self._arguments,
        )
