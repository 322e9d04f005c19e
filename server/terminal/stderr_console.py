"""What is said beside the answers: on stderr, dim on a terminal, nothing where programs read it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from server.terminal.text import escape_control_characters


class Notes:
    """Remarks for people; while `quiet` they are left out."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._dim = "" if os.environ.get("NO_COLOR") else "dim"

    @property
    def on_terminal(self) -> bool:
        """Whether a person reads them."""
        return self._console.is_terminal and not self.quiet

    def say(self, text: str, *, dim: bool = True) -> None:
        """Write a line, or several."""
        if not self.quiet:
            self._console.print(
                Text(escape_control_characters(text), style=self._dim if dim else "")
            )

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that something goes on: a spinner on a terminal, else a line."""
        if not self.on_terminal or self._console.is_dumb_terminal:
            self.say(text)
            yield
            return
        with self._console.status(Text(text, style=self._dim)):
            yield
