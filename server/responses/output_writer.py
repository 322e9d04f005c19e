"""A response's output: writes deltas as events and collects the items."""

from collections.abc import Iterator

from server.generation.choice_delta import ChoiceDelta
from server.generation.logprobs import TokenAligner
from server.protocol.chat.response import FinishReason
from server.protocol.responses.events import AnyEvent
from server.protocol.responses.response import ItemStatus, OutputItem
from server.responses.item_writers import FunctionCallWriter, MessageWriter
from server.responses.logprobs import TextLogprobs
from server.tools.content import ToolCallStart


class OutputWriter:
    """Writes items one after the other; `items` holds the finished ones.

    `logprobs` are those of the first item; items and events get them when they are dumped. Only the
    first item can have log probabilities: the tokens after it may belong to calls.
    """

    def __init__(self) -> None:
        self.items: list[OutputItem] = []
        self.logprobs = TextLogprobs()
        self.finish_reason: FinishReason | None = None
        self._item_writer: MessageWriter | FunctionCallWriter | None = None
        self._aligner = TokenAligner()

    def write(self, delta: ChoiceDelta) -> Iterator[AnyEvent]:
        """Yield the events of a delta."""
        self._aligner.add_tokens(delta.logprobs)
        for content in delta.content:
            if isinstance(content, str):
                yield from self._write_text(content)
            elif isinstance(content, ToolCallStart):
                yield from self._start_call(content)
            elif isinstance(self._item_writer, FunctionCallWriter):
                yield self._item_writer.write_arguments(content.arguments)
        yield from self._write_late_logprobs()
        if delta.finish_reason is not None:
            yield from self._finish(delta.finish_reason)

    def _write_text(self, text: str) -> Iterator[AnyEvent]:
        if not isinstance(self._item_writer, MessageWriter):
            if self._item_writer and not text.strip():
                return  # white space between calls is not a message
            yield from self._start_message()
        if isinstance(self._item_writer, MessageWriter):
            tokens = () if self.items else list(self._aligner.advance(text, include_partial=True))
            yield self._item_writer.write_text(text, tokens)

    def _write_late_logprobs(self) -> Iterator[AnyEvent]:
        """Yield tokens of text that is already written, such as the rest of a character."""
        if isinstance(self._item_writer, MessageWriter) and not self.items:
            tokens = list(self._aligner.advance("", include_partial=True))
            if tokens:
                yield self._item_writer.write_text("", tokens)

    def _start_message(self) -> Iterator[AnyEvent]:
        yield from self._end_item("completed")
        self._item_writer = MessageWriter(len(self.items), self.logprobs)
        yield from self._item_writer.write_start()

    def _start_call(self, call: ToolCallStart) -> Iterator[AnyEvent]:
        yield from self._end_item("completed")
        self._item_writer = FunctionCallWriter(len(self.items), call)
        yield from self._item_writer.write_start()

    def _end_item(self, status: ItemStatus) -> Iterator[AnyEvent]:
        if self._item_writer is not None:
            yield from self._item_writer.write_end(status)
            self.items.append(self._item_writer.build_item(status))
            self._item_writer = None

    def _finish(self, finish_reason: FinishReason) -> Iterator[AnyEvent]:
        """End the last item; an empty answer becomes an empty message."""
        self.finish_reason = finish_reason
        if self._item_writer is None:
            yield from self._start_message()
        yield from self._end_item("incomplete" if finish_reason == "length" else "completed")
