"""The positional arguments: images, videos and a question."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from server.terminal.attachment import (
    Attachment,
    has_media_suffix,
    is_file,
    is_url,
    open_attachment,
    read_attachment,
)
from server.terminal.errors import UsageError

STDIN: Final = "-"


@dataclass(frozen=True, slots=True)
class ChatArguments:
    """Images and videos in order, and the question, if any."""

    attachments: tuple[str, ...] = ()
    question: str | None = None


def classify_arguments(arguments: Sequence[str]) -> ChatArguments:
    """Separate images and videos from the question. Raises `UsageError`."""
    attachments: list[str] = []
    others: list[str] = []
    for word in arguments:
        is_attachment = word == STDIN or is_url(word) or is_file(word)
        (attachments if is_attachment else others).append(word)
    for word in others:
        if has_media_suffix(word) and not any(map(str.isspace, word)):
            raise UsageError(f"there is no file {word}")
    if len(others) > 1:
        listed = ", ".join(map(repr, others))
        raise UsageError(f"one question at a time, in quotes; neither a file nor a URL: {listed}")
    if attachments.count(STDIN) > 1:
        raise UsageError("stdin holds one file: - may be there once")
    return ChatArguments(tuple(attachments), others[0] if others else None)


def open_attachments(arguments: ChatArguments) -> list[Attachment]:
    """Read images and videos, `-` from stdin. Raises `UsageError`."""
    return [_read_stdin() if w == STDIN else open_attachment(w) for w in arguments.attachments]


def _read_stdin() -> Attachment:
    if sys.stdin.isatty():
        raise UsageError("- stands for an image or a video on stdin, which is a terminal")
    return read_attachment("stdin", sys.stdin.buffer)


def read_question_from_stdin(arguments: ChatArguments) -> str:
    """Read the question from stdin. Raises `UsageError`."""
    if STDIN in arguments.attachments:
        raise UsageError("stdin holds the image or video: give the question as an argument")
    question = sys.stdin.buffer.read().decode("utf-8", "replace").strip()
    if not question:
        raise UsageError("no question: give one as an argument or on stdin")
    return question
