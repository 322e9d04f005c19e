"""docs/terminal.md lists all options, commands and exit codes, and nothing else."""

import re
from pathlib import Path

import typer

from server.terminal.commands import COMMANDS
from server.terminal.errors import APIError, ServerUnreachable, UsageError
from server.terminal.program import HELP, app
from server.terminal.run import EXIT_INTERRUPTED

DOCS = (Path(__file__).parents[3] / "docs" / "terminal.md").read_text()


def first_column(beginning: str) -> list[str]:
    """Return the code words that begin so in the first cells of the tables' rows."""
    cells = [re.split(r"(?<!\\)\|", row)[1] for row in DOCS.splitlines() if row.startswith("| `")]
    words = [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]
    return [word.replace("\\|", "|") for word in words if re.match(beginning, word)]


def test_options() -> None:
    command = typer.main.get_command(app)
    options = {name for option in command.params for name in option.opts if name.startswith("--")}
    assert "--url" in options
    assert set(first_column("--")) == options | {"--help"}


def test_commands() -> None:
    assert first_column("/") == [command.usage for command in COMMANDS.values()]


def test_exit_codes() -> None:
    codes = [
        0,
        *(kind.exit_code for kind in (APIError, UsageError, ServerUnreachable)),
        EXIT_INTERRUPTED,
    ]
    assert first_column(r"\d") == [str(code) for code in codes]
    assert re.findall(r"^(\d+) ", HELP, re.M) == [str(code) for code in codes]
