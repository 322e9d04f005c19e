"""Runs content parsers over split text and joins their deltas."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from server.protocol.chat.response import FinishReason
from server.tools.content import ContentDelta, ContentParser, ToolCallArguments, ToolCallStart

Call = tuple[str, str]


def parse_parts(
    reader: ContentParser, parts: Sequence[str], finish_reason: FinishReason = "stop"
) -> list[ContentDelta]:
    """Return the deltas of a text in parts, each as one token."""
    content: list[ContentDelta] = []
    for index, part in enumerate(parts):
        is_last = index == len(parts) - 1
        content += reader.parse(part, [index], finish_reason if is_last else None)
    return content


def join_content(content: Iterable[ContentDelta]) -> tuple[str, list[Call]]:
    """Return the text and the calls. Each call must start before its arguments, in order."""
    text = ""
    calls: list[Call] = []
    for delta in content:
        if isinstance(delta, str):
            assert delta
            text += delta
        elif isinstance(delta, ToolCallStart):
            assert delta.index == len(calls)
            calls.append((delta.name, ""))
        else:
            assert isinstance(delta, ToolCallArguments)
            assert delta.index == len(calls) - 1
            assert delta.arguments
            name, arguments = calls[-1]
            calls[-1] = (name, arguments + delta.arguments)
    return text, calls


def split_text(text: str, *places: int) -> list[str]:
    """Split a text at some indices."""
    return [text[begin:end] for begin, end in pairwise([0, *sorted(places), len(text)])]
