"""Feeds readers of tool calls, and puts together what they make of it."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from server.tools.content import ContentDelta, ContentParser, ToolCallArguments, ToolCallStart

Call = tuple[str, str]


def fed(reader: ContentParser, parts: Sequence[str], *, ended: bool = True) -> list[ContentDelta]:
    """Return all pieces of a text that comes in parts, each as one token."""
    pieces: list[ContentDelta] = []
    for index, part in enumerate(parts):
        last = ended and index == len(parts) - 1
        pieces += reader.parse(part, [index], ended=last)
    return pieces


def joined(pieces: Iterable[ContentDelta]) -> tuple[str, list[Call]]:
    """Return the text and the calls. Each call must begin before its arguments, in order."""
    text = ""
    calls: list[Call] = []
    for piece in pieces:
        if isinstance(piece, str):
            assert piece
            text += piece
        elif isinstance(piece, ToolCallStart):
            assert piece.index == len(calls)
            calls.append((piece.name, ""))
        else:
            assert isinstance(piece, ToolCallArguments)
            assert piece.index == len(calls) - 1
            assert piece.arguments
            name, arguments = calls[-1]
            calls[-1] = (name, arguments + piece.arguments)
    return text, calls


def split(text: str, *places: int) -> list[str]:
    """Cut a text at some places."""
    return [text[begin:end] for begin, end in pairwise([0, *sorted(places), len(text)])]
