"""Messages on stderr: dim on a terminal, none with `quiet`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from server.terminal.text import escape_control_characters


class StderrConsole:
    """Prints messages for the user unless `quiet`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._dim = "" if os.environ.get("NO_COLOR") else "dim"

    @property
    def is_interactive(self) -> bool:
        """Whether stderr is a terminal and not `quiet`."""
        return self._console.is_terminal and not self.quiet

    def print(self, text: str, *, dim: bool = True) -> None:
        """Print one or more lines."""
        if not self.quiet:
            self._console.print(
                Text(escape_control_characters(text), style=self._dim if dim else "")
            )

    @contextmanager
    def show_progress(self, text: str) -> Iterator[None]:
        """Show a spinner on a terminal, or else print a line."""
        if not self.is_interactive or self._console.is_dumb_terminal:
            self.print(text)
            yield
            return
        with self._console.status(Text(text, style=self._dim)):
            yield
