"""What the command line asks: which arguments are images, and which is the question."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from server.terminal.errors import UsageFault
from server.terminal.image import (
    AttachedImage,
    is_file,
    is_url,
    names_an_image,
    open_image,
    read_image,
)

STDIN: Final = "-"


@dataclass(frozen=True, slots=True)
class Arguments:
    """The images in their order, and the question, if there is one."""

    images: tuple[str, ...] = ()
    question: str | None = None


def sort_arguments(words: Sequence[str]) -> Arguments:
    """Tell images from the question. Raises `UsageFault`."""
    images: list[str] = []
    others: list[str] = []
    for word in words:
        (images if word == STDIN or is_url(word) or is_file(word) else others).append(word)
    for word in others:
        if names_an_image(word) and not any(map(str.isspace, word)):
            raise UsageFault(f"there is no file {word}")
    if len(others) > 1:
        listed = ", ".join(map(repr, others))
        raise UsageFault(f"one question at a time, in quotes; neither a file nor a URL: {listed}")
    if images.count(STDIN) > 1:
        raise UsageFault("stdin holds one image: - may be there once")
    return Arguments(tuple(images), others[0] if others else None)


def open_images(arguments: Arguments) -> list[AttachedImage]:
    """Read the images, `-` from stdin. Raises `UsageFault`."""
    return [_stdin_image() if w == STDIN else open_image(w) for w in arguments.images]


def _stdin_image() -> AttachedImage:
    if sys.stdin.isatty():
        raise UsageFault("- stands for an image on stdin, which is a terminal")
    return read_image("stdin", sys.stdin.buffer)


def question_on_stdin(arguments: Arguments) -> str:
    """Read the question where the arguments have none. Raises `UsageFault`."""
    if STDIN in arguments.images:
        raise UsageFault("stdin holds the image: give the question as an argument")
    question = sys.stdin.buffer.read().decode("utf-8", "replace").strip()
    if not question:
        raise UsageFault("no question: give one as an argument or on stdin")
    return question
