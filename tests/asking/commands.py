"""The commands and options of a command line, for comparison with its documentation."""

from collections.abc import Iterator
from typing import Any

import typer
import typer.core


def collect_commands(app: typer.Typer) -> dict[str, Any]:
    """Collect all commands by full name."""
    return dict(_walk(typer.main.get_command(app)))


def collect_options(commands: dict[str, Any]) -> set[str]:
    """Collect the names of all options."""
    return {
        option for command in commands.values() for each in command.params for option in each.opts
    }


def collect_variables(commands: dict[str, Any]) -> set[str]:
    """Collect the environment variables of all options."""
    return {str(each.envvar) for c in commands.values() for each in c.params if each.envvar}


def _walk(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(command, typer.core.TyperGroup):
        for word, below in command.commands.items():
            yield from _walk(below, f"{name} {word}".strip())
    else:
        yield name, command
