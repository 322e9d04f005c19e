"""A dataclass becomes options of a command, with the defaults that the command chooses."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from asking.option_groups import expand_options


@dataclass(frozen=True, slots=True)
class _Group:
    size: Annotated[int, typer.Option(min=1, help="its size")] = 1
    name: Annotated[str, typer.Option(help="its name")] = "x"


def _run(*words: str) -> tuple[int, str]:
    app = typer.Typer()

    @app.command()
    @expand_options
    def show(
        group: _Group = _Group(size=5),
        *,
        flag: Annotated[bool, typer.Option("--flag")] = False,
    ) -> None:
        """Show the options."""
        print(group, flag)

    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.output


def test_fields_are_options() -> None:
    assert _run() == (0, "_Group(size=5, name='x') False\n")
    assert _run("--size", "7", "--name", "y", "--flag") == (0, "_Group(size=7, name='y') True\n")


def test_their_limits_hold() -> None:
    code, output = _run("--size", "0")
    assert code == 2
    assert "--size" in output
