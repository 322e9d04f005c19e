"""A response's output: items read from deltas, one after the other, and what happens to them."""

from collections.abc import Iterator

from server.generation.choice_delta import ChoiceDelta, FinishReason
from server.protocol.responses.events import AnyEvent
from server.protocol.responses.response import OutputItem, Status
from server.responses.item_writers import CallWriter, MessageWriter
from server.responses.text_logprobs import TextLogprobsAligner
from server.tools.content import ToolCallStart


class OutputReader:
    """The items that are whole; one more is open until the next begins or the answer ends."""

    def __init__(self) -> None:
        self.items: list[OutputItem] = []
        self.finish_reason: FinishReason | None = None
        self._open: MessageWriter | CallWriter | None = None
        self._logprobs = TextLogprobsAligner()

    def read(self, delta: ChoiceDelta) -> Iterator[AnyEvent]:
        """Take in what the answer gains and yield the events that tell of it."""
        self._logprobs.add(delta.logprobs)
        for piece in delta.pieces:
            if isinstance(piece, str):
                yield from self._text(piece)
            elif isinstance(piece, ToolCallStart):
                yield from self._call(piece)
            elif isinstance(self._open, CallWriter):
                yield self._open.add(piece.arguments)
        yield from self._late_logprobs()
        if delta.finish_reason is not None:
            yield from self._end(delta.finish_reason)

    def _text(self, text: str) -> Iterator[AnyEvent]:
        if not isinstance(self._open, MessageWriter):
            if self._open and not text.strip():
                return  # white space between calls is no message
            yield from self._message()
        yield from self._add(text)

    def _add(self, text: str) -> Iterator[AnyEvent]:
        if isinstance(self._open, MessageWriter):
            # Only of the first text is it known which tokens spell it.
            yield self._open.add(text, () if self.items else self._logprobs.of(text))

    def _late_logprobs(self) -> Iterator[AnyEvent]:
        """Yield tokens of text that has been shown before, such as the rest of a character."""
        if isinstance(self._open, MessageWriter) and not self.items:
            logprobs = self._logprobs.of("")
            if logprobs:
                yield self._open.add("", logprobs)

    def _message(self) -> Iterator[AnyEvent]:
        yield from self._close("completed")
        self._open = MessageWriter(len(self.items))
        yield from self._open.begin()

    def _call(self, call: ToolCallStart) -> Iterator[AnyEvent]:
        yield from self._close("completed")
        self._open = CallWriter(len(self.items), call)
        yield from self._open.begin()

    def _close(self, status: Status) -> Iterator[AnyEvent]:
        if self._open is not None:
            yield from self._open.end(status)
            self.items.append(self._open.item(status))
            self._open = None

    def _end(self, finish_reason: FinishReason) -> Iterator[AnyEvent]:
        """Close what is open; an answer of nothing is an empty message."""
        self.finish_reason = finish_reason
        if self._open is None:
            yield from self._message()
        yield from self._close("incomplete" if finish_reason == "length" else "completed")
