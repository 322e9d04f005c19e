"""The help text: commands, then every option in its group, wrapped for the terminal."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from server.settings.options import MAX_SHOWN_CHOICES, Option, list_options

INDENT: Final = "      "
VARIABLE_COLUMN: Final = 42
MAX_WIDTH: Final = 100

INTRODUCTION: Final = (
    "Serve a LLaVA model over an OpenAI-compatible API. Every option is also an environment"
    " variable: --max-images is LLAVA_MAX_IMAGES; the command line wins."
)
OTHER_OPTIONS: Final = {
    "--check": "check the settings and the model, print each setting with its source and a verdict,"
    " and exit without serving",
    "--version": "print the version and exit",
    "-h, --help": "print this and exit",
}
EXIT_CODES: Final = (
    "Exit codes: 0 stopped by a signal, 1 the model could not be loaded or the engine failed,"
    " 2 mistakes in the settings."
)


def format_help(program: str, commands: Mapping[str, str]) -> str:
    """Return the help of the server; `commands` has the purpose of each command."""
    return "\n".join([*_format_introduction(program, commands), *format_options(list_options())])


def format_options(options: Sequence[Option]) -> Iterator[str]:
    """Yield the lines about the options, by group, and about the options of all commands."""
    for group, members in groupby(options, key=lambda option: option.group):
        yield ""
        yield f"{group}:"
        for option in members:
            yield from _format_option(option)
    yield ""
    yield "Other options:"
    for flag, purpose in OTHER_OPTIONS.items():
        yield f"  {flag}"
        yield from wrap(purpose, INDENT)
    yield ""
    yield from wrap(EXIT_CODES)


def _format_introduction(program: str, commands: Mapping[str, str]) -> Iterator[str]:
    yield f"usage: {program} [serve] [options]"
    yield f"       {program} COMMAND --help"
    yield ""
    yield from wrap(INTRODUCTION)
    yield ""
    yield "Commands:"
    yield from (f"  {name:<12}{purpose}" for name, purpose in commands.items())


def _format_option(option: Option) -> Iterator[str]:
    value = "" if option.is_switch else f" {option.placeholder}"
    yield f"  {option.flag}{value}".ljust(VARIABLE_COLUMN) + f"  {option.variable}"
    yield from wrap(f"{option.field.description}{_format_default(option)}", INDENT)


def _format_default(option: Option) -> str:
    opposite = f"--no-{option.flag[2:]}" if option.is_switch else None
    default = f"default: {option.default_text}" if option.default_text else None
    is_long = len(option.choices) > MAX_SHOWN_CHOICES
    choices = f"one of {', '.join(option.choices)}" if is_long else None
    added = "; ".join(filter(None, (choices, default, opposite)))
    return f" ({added})" if added else ""


def wrap(text: str, indent: str = "") -> list[str]:
    """Break text into lines that fit the terminal."""
    width = min(shutil.get_terminal_size().columns, MAX_WIDTH)
    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
