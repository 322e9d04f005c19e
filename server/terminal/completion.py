"""Tab completion of commands and paths."""

import re
from collections.abc import Iterable
from typing import Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from server.terminal.commands import COMMANDS
from server.terminal.shell_words import escape_word, parse_last_word

_COMMANDS_WITH_PATHS: Final = ("/image", "/video", "/save")
_PATH: Final = re.compile(r"(\.{0,2}|~)/")


class ChatCompleter(Completer):
    """Completes the word before the cursor."""

    def __init__(self) -> None:
        self._paths = PathCompleter(expanduser=True)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Yield the completions of the word."""
        line = document.text_before_cursor
        command, space, argument = line.partition(" ")
        if command in _COMMANDS_WITH_PATHS and space:
            yield from self._complete_path(argument, complete_event)
        elif _PATH.match(line) and line.find("/", 1) > 0:
            yield from self._complete_path(line, complete_event)
        elif line.startswith("/"):  # commands only, no folders of the root
            names = (name for name in COMMANDS if name.startswith(line))
            yield from (Completion(name, start_position=-len(line)) for name in names)

    def _complete_path(self, text: str, event: CompleteEvent) -> Iterable[Completion]:
        word = parse_last_word(text)
        for found in self._paths.get_completions(Document(word), event):
            yield Completion(escape_word(found.text), display=found.display)
