"""What a typed line means: a command, or images and a question."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from server.terminal.image import is_file, is_url, names_an_image
from server.terminal.shell_words import all_words, first_word


@dataclass(frozen=True, slots=True)
class Command:
    """A command, with the slash, and what follows it."""

    name: str
    argument: str


@dataclass(frozen=True, slots=True)
class UserQuestion:
    """Images to attach, and a question, which may be empty."""

    images: tuple[str, ...]
    text: str


def read_line(line: str, commands: Collection[str]) -> Command | UserQuestion:
    """Read a line; one that begins with a slash and with no image is a command, known or not."""
    line = line.strip()
    name, *rest = line.split(maxsplit=1) or [""]
    command = Command(name, "".join(rest))
    if name in commands:
        return command
    images, text = _leading_images(line)
    return command if line.startswith("/") and not images else UserQuestion(images, text)


def find_named_images(argument: str) -> list[str]:
    """Read the files and URLs of a command; one path may hold bare spaces, if it exists."""
    if is_file(str(_expanded(argument))):
        return [argument]
    return all_words(argument) or [argument]


def find_named_file(argument: str) -> Path:
    """Read a single path."""
    words = all_words(argument)
    return _expanded(words[0] if words and len(words) == 1 else argument)


def _leading_images(line: str) -> tuple[tuple[str, ...], str]:
    if _is_image_file(line):
        return (line,), ""
    images: list[str] = []
    while (found := first_word(line)) and (is_url(found[0]) or _is_image_file(found[0])):
        images.append(found[0])
        line = found[1].strip()
    return tuple(images), line


def _is_image_file(word: str) -> bool:
    """Tell an image from a word of a question that happens to be a file's name."""
    looks_it = "/" in word or names_an_image(word)
    return looks_it and is_file(str(_expanded(word)))


def _expanded(word: str) -> Path:
    try:
        return Path(word).expanduser()
    except RuntimeError:  # ~name of nobody here
        return Path(word)
