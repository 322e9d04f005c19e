"""Reading tool calls out of an answer's text as it comes."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from server.tools.content import ContentDelta, ToolCallArguments, ToolCallStart, make_tool_call_id
from server.tools.format import ARGUMENTS, CALL_BEGIN, CALL_END

HEAD: Final = re.compile(re.escape("\n") + r'\{"name": ("(?:[^"\\]|\\.)*")' + re.escape(ARGUMENTS))


class TextOnlyParser:
    """For an answer without tools: all of it is text."""

    def read(
        self,
        text: str,
        token_ids: Sequence[int],  # noqa: ARG002
        *,
        ended: bool,  # noqa: ARG002
    ) -> Iterator[ContentDelta]:
        """Yield the text."""
        if text:
            yield text


class ToolCallParser:
    """Reads calls spelt as `server.tools.format` says; what comes before the first one is text."""

    def __init__(self) -> None:
        self._buffer = ""
        self._read: Callable[[bool], Iterator[ContentDelta]] = self._text
        self._calls = 0
        self._arguments = ""

    def read(
        self,
        text: str,
        token_ids: Sequence[int],  # noqa: ARG002
        *,
        ended: bool,
    ) -> Iterator[ContentDelta]:
        """Yield text, and calls piece by piece; the marks around them are not shown."""
        self._buffer += text
        reading = None
        while reading != self._read:
            reading = self._read
            yield from reading(ended)

    def _text(self, ended: bool) -> Iterator[ContentDelta]:
        text, mark, rest = self._buffer.partition(CALL_BEGIN)
        if mark:
            self._buffer, self._read = rest, self._head
        else:
            held = 0 if ended else _overlap(text, CALL_BEGIN)
            text, self._buffer = text[: len(text) - held], text[len(text) - held :]
        if text:
            yield text

    def _head(self, _: bool) -> Iterator[ContentDelta]:
        head = HEAD.match(self._buffer)
        if head is not None:
            self._buffer, self._read = self._buffer[head.end() :], self._call
            self._arguments = ""
            yield ToolCallStart(self._calls, make_tool_call_id(), json.loads(head[1]))

    def _call(self, ended: bool) -> Iterator[ContentDelta]:
        """Yield arguments: JSON as the grammar has it holds no line break, so the end is plain."""
        arguments, mark, rest = self._buffer.partition(CALL_END)
        if not mark:
            held = _overlap(arguments, CALL_END)
            if ended and not _is_json(self._arguments + arguments[: len(arguments) - held]):
                held = 0
            rest = arguments[len(arguments) - held :]
            arguments = arguments[: len(arguments) - held]
        self._buffer = rest
        self._arguments += arguments
        if arguments:
            yield ToolCallArguments(self._calls, arguments)
        if mark:
            self._calls += 1
            self._read = self._text


def _overlap(text: str, mark: str) -> int:
    """Return how many characters at the text's end may be the begin of the mark."""
    longest = min(len(text), len(mark) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(mark[:size])), 0)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
