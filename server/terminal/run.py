"""Runs a chat from its arguments to its exit code."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import typer

from server.terminal.arguments import classify_arguments, open_attachments, read_question_from_stdin
from server.terminal.chat import Chat
from server.terminal.connection import Connection, connect
from server.terminal.errors import ChatError
from server.terminal.history import ChatHistory
from server.terminal.options import ConnectionOptions
from server.terminal.output import JsonPrinter, TextPrinter
from server.terminal.stderr_console import StderrConsole
from server.terminal.text import replace_surrogates

EXIT_INTERRUPTED: Final = 130


def run_chat(
    arguments: Sequence[str],
    connection_options: ConnectionOptions,
    fields: Mapping[str, Any],
    system: str,
    detail: str | None,
    *,
    as_json: bool,
) -> None:
    """Ask one question, or start an interactive chat. Raises `typer.Exit` on errors.

    `fields` are added to every request.
    """
    console = StderrConsole(quiet=as_json)
    with _report_errors(console, as_json=as_json):
        parsed = classify_arguments(arguments)
        history = ChatHistory(
            replace_surrogates(system), detail, attachments=open_attachments(parsed)
        )
        question = parsed.question
        if question is None and not sys.stdin.isatty():
            question = read_question_from_stdin(parsed)
        with connect(connection_options, console) as connection:
            printer = JsonPrinter() if as_json else TextPrinter()
            chat = Chat(
                connection.client, connection.model, history, dict(fields), printer, console
            )
            _start_chat(chat, connection, question)


def _start_chat(chat: Chat, connection: Connection, question: str | None) -> None:
    if question is not None:
        if not chat.ask(replace_surrogates(question)):
            raise KeyboardInterrupt
        return
    # Imported here, so that single questions start fast.
    from server.terminal.interactive import run_interactive

    chat.console.quiet = False  # interactive, even with --json
    chat.console.print(f"{connection.model} at {connection.url} · /help lists the commands")
    run_interactive(chat)


@contextmanager
def _report_errors(console: StderrConsole, *, as_json: bool) -> Iterator[None]:
    """Turn a `ChatError` into a message and an exit code."""
    try:
        yield
    except ChatError as error:
        if as_json:
            print(json.dumps({"error": error.json_fields}), file=sys.stderr)
        else:
            console.print(f"error: {error.display_text}", dim=False)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
