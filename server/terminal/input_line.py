"""Parsing of an input line: a command, or attachments and a question."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from server.terminal.attachment import expand_user, has_media_suffix, is_file, is_url
from server.terminal.shell_words import split_first_word, split_words


@dataclass(frozen=True, slots=True)
class CommandInput:
    """A command's name, with the slash, and its argument."""

    name: str
    argument: str


@dataclass(frozen=True, slots=True)
class QuestionInput:
    """Images and videos to attach and a question, which may be empty."""

    attachments: tuple[str, ...]
    text: str


def parse_line(line: str, commands: Collection[str]) -> CommandInput | QuestionInput:
    """Parse a line; a slash that starts no file's path starts a command, known or not."""
    line = line.strip()
    name, *rest = line.split(maxsplit=1) or [""]
    command = CommandInput(name, "".join(rest))
    if name in commands:
        return command
    attachments, text = _split_attachments(line)
    is_command = line.startswith("/") and not attachments
    return command if is_command else QuestionInput(attachments, text)


def parse_attachment_arguments(argument: str) -> list[str]:
    """Split an argument into paths and URLs; an existing path may hold bare spaces."""
    if is_file(str(expand_user(argument))):
        return [argument]
    return split_words(argument) or [argument]


def parse_file_argument(argument: str) -> Path:
    """Parse a single path."""
    words = split_words(argument)
    return expand_user(words[0] if words and len(words) == 1 else argument)


def _split_attachments(line: str) -> tuple[tuple[str, ...], str]:
    """Split off the paths and URLs with which a line begins."""
    if _is_media_file(line):
        return (line,), ""
    attachments: list[str] = []
    while (found := split_first_word(line)) and (is_url(found[0]) or _is_media_file(found[0])):
        attachments.append(found[0])
        line = found[1].strip()
    return tuple(attachments), line


def _is_media_file(word: str) -> bool:
    """Whether a word is a file to attach and not a word that happens to be a file's name."""
    looks_like_path = "/" in word or has_media_suffix(word)
    return looks_like_path and is_file(str(expand_user(word)))
