"""The positional arguments: images and a question."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from server.terminal.errors import UsageError
from server.terminal.image import (
    AttachedImage,
    has_image_suffix,
    is_file,
    is_url,
    open_image,
    read_image,
)

STDIN: Final = "-"


@dataclass(frozen=True, slots=True)
class ChatArguments:
    """The images in order, and the question, if any."""

    images: tuple[str, ...] = ()
    question: str | None = None


def classify_arguments(arguments: Sequence[str]) -> ChatArguments:
    """Separate the images from the question. Raises `UsageError`."""
    images: list[str] = []
    others: list[str] = []
    for word in arguments:
        (images if word == STDIN or is_url(word) or is_file(word) else others).append(word)
    for word in others:
        if has_image_suffix(word) and not any(map(str.isspace, word)):
            raise UsageError(f"there is no file {word}")
    if len(others) > 1:
        listed = ", ".join(map(repr, others))
        raise UsageError(f"one question at a time, in quotes; neither a file nor a URL: {listed}")
    if images.count(STDIN) > 1:
        raise UsageError("stdin holds one image: - may be there once")
    return ChatArguments(tuple(images), others[0] if others else None)


def open_images(arguments: ChatArguments) -> list[AttachedImage]:
    """Read the images, `-` from stdin. Raises `UsageError`."""
    return [_read_stdin_image() if w == STDIN else open_image(w) for w in arguments.images]


def _read_stdin_image() -> AttachedImage:
    if sys.stdin.isatty():
        raise UsageError("- stands for an image on stdin, which is a terminal")
    return read_image("stdin", sys.stdin.buffer)


def read_question_from_stdin(arguments: ChatArguments) -> str:
    """Read the question from stdin. Raises `UsageError`."""
    if STDIN in arguments.images:
        raise UsageError("stdin holds the image: give the question as an argument")
    question = sys.stdin.buffer.read().decode("utf-8", "replace").strip()
    if not question:
        raise UsageError("no question: give one as an argument or on stdin")
    return question
