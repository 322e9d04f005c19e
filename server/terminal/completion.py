"""Tab: commands, and the paths that follow them or begin a line."""

import re
from collections.abc import Iterable
from typing import Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from server.terminal.commands import COMMANDS
from server.terminal.shell_words import escaped, last_word

_WITH_PATHS: Final = ("/image", "/save")
_PATH: Final = re.compile(r"(\.{0,2}|~)/")


class ChatCompleter(Completer):
    """Completes the word before the cursor."""

    def __init__(self) -> None:
        self._paths = PathCompleter(expanduser=True)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Yield what the word may become."""
        line = document.text_before_cursor
        command, space, argument = line.partition(" ")
        if command in _WITH_PATHS and space:
            yield from self._completed_path(argument, complete_event)
        elif _PATH.match(line) and line.find("/", 1) > 0:
            yield from self._completed_path(line, complete_event)
        elif line.startswith("/"):  # folders of the root are no choice beside the commands
            names = (name for name in COMMANDS if name.startswith(line))
            yield from (Completion(name, start_position=-len(line)) for name in names)

    def _completed_path(self, text: str, event: CompleteEvent) -> Iterable[Completion]:
        word = last_word(text)
        for found in self._paths.get_completions(Document(word), event):
            yield Completion(escaped(found.text), display=found.display)
