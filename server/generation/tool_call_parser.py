"""Parses tool calls in the generic format out of an answer's text, as it streams."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from server.protocol.chat.response import FinishReason
from server.tools.content import ContentDelta, ToolCallArguments, ToolCallStart, make_tool_call_id
from server.tools.format import ARGUMENTS, CALL_BEGIN, CALL_END

HEAD: Final = re.compile(re.escape("\n") + r'\{"name": ("(?:[^"\\]|\\.)*")' + re.escape(ARGUMENTS))


class TextOnlyParser:
    """For an answer without tools: everything is text."""

    def parse(
        self,
        text: str,
        token_ids: Sequence[int],  # noqa: ARG002
        finish_reason: FinishReason | None,  # noqa: ARG002
    ) -> Iterator[ContentDelta]:
        """Yield the text."""
        if text:
            yield text


class ToolCallParser:
    """Parses the calls of `server.tools.format`; the text around calls is passed on as text."""

    def __init__(self, *, required: bool = False) -> None:
        """With `required`, the grammar admits calls only, so there is no text."""
        self._required = required
        self._buffer = ""
        self._state: Callable[[FinishReason | None], Iterator[ContentDelta]] = self._parse_text
        self._num_calls = 0
        self._arguments = ""

    def parse(
        self,
        text: str,
        token_ids: Sequence[int],  # noqa: ARG002
        finish_reason: FinishReason | None,
    ) -> Iterator[ContentDelta]:
        """Yield text and the deltas of calls, without the markers around calls."""
        self._buffer += text
        state = None
        while state != self._state:
            state = self._state
            yield from state(finish_reason)

    def _parse_text(self, finish_reason: FinishReason | None) -> Iterator[ContentDelta]:
        text, marker, rest = self._buffer.partition(CALL_BEGIN)
        if marker:
            self._buffer, self._state = rest, self._parse_head
        else:
            # A text may end with the start of a marker; at the token limit, that is a cut-off call.
            held_back = 0 if finish_reason == "stop" else _measure_overlap(text, CALL_BEGIN)
            end = len(text) - held_back
            text, self._buffer = text[:end], text[end:]
        if text and not self._required:
            yield text

    def _parse_head(self, _: FinishReason | None) -> Iterator[ContentDelta]:
        head = HEAD.match(self._buffer)
        if head is not None:
            self._buffer, self._state = self._buffer[head.end() :], self._parse_arguments
            self._arguments = ""
            yield ToolCallStart(self._num_calls, make_tool_call_id(), json.loads(head[1]))

    def _parse_arguments(self, finish_reason: FinishReason | None) -> Iterator[ContentDelta]:
        """Yield arguments up to `CALL_END`: the grammar allows no line break within the JSON."""
        arguments, marker, rest = self._buffer.partition(CALL_END)
        if not marker:
            end = len(arguments) - _measure_overlap(arguments, CALL_END)
            if finish_reason and not _is_json(self._arguments + arguments[:end]):
                end = len(arguments)
            arguments, rest = arguments[:end], arguments[end:]
        self._buffer = rest
        self._arguments += arguments
        if arguments:
            yield ToolCallArguments(self._num_calls, arguments)
        if marker:
            self._num_calls += 1
            self._state = self._parse_text


def _measure_overlap(text: str, marker: str) -> int:
    """Return how many characters at the text's end may be the start of the marker."""
    longest = min(len(text), len(marker) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(marker[:size])), 0)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
