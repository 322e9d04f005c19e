"""Tab: commands, and the paths that follow them or begin a line."""

from collections.abc import Iterable

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from server.terminal.commands import COMMANDS
from server.terminal.words import escaped, last_word

_WITH_PATHS = ("/image", "/save")


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
        if not space:
            names = (name for name in COMMANDS if name.startswith(command) and command)
            yield from (Completion(name, start_position=-len(command)) for name in names)
        if space and command in _WITH_PATHS:
            yield from self._completed_path(argument, complete_event)
        elif not space and command.startswith(("/", "./", "../", "~/")):
            yield from self._completed_path(command, complete_event)

    def _completed_path(self, text: str, event: CompleteEvent) -> Iterable[Completion]:
        word = last_word(text)
        for found in self._paths.get_completions(Document(word), event):
            yield Completion(escaped(found.text), display=found.display)
