"""Runs a command line whose known errors are messages, not tracebacks."""

import sys

import typer

from asking.errors import RunError


def run_program(app: typer.Typer, name: str) -> None:
    """Run a command; an error that we know is a message and exit code 1."""
    try:
        app(prog_name=name)
    except (RunError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
