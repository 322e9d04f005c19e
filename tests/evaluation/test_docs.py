"""docs/evaluation.md names every command and every option, and no other option."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import typer.core

from evaluation.__main__ import app

DOCS = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()


def commands(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """All commands below this one, each with its full name."""
    if isinstance(command, typer.core.TyperGroup):
        for word, below in command.commands.items():
            yield from commands(below, f"{name} {word}".strip())
    else:
        yield name, command


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_every_command_is_described() -> None:
    for name in COMMANDS:
        assert f"python -m evaluation {name}" in DOCS, name


def test_every_option_is_described_and_no_other() -> None:
    known = {
        option for command in COMMANDS.values() for each in command.params for option in each.opts
    }
    assert set(re.findall(r"--[a-z][a-z-]+", DOCS)) == known


def test_every_environment_variable_is_described() -> None:
    known = {str(p.envvar) for c in COMMANDS.values() for p in c.params if p.envvar}
    assert set(re.findall(r"EVALUATION_[A-Z_]+", DOCS)) == known
