"""A chat from its arguments to its exit code."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import typer

from server.terminal.arguments import open_images, question_on_stdin, sort_arguments
from server.terminal.chat import Chat
from server.terminal.connection import Connection, connect
from server.terminal.errors import ChatError
from server.terminal.history import ChatHistory
from server.terminal.output import JsonPrinter, TextPrinter
from server.terminal.stderr_console import Notes
from server.terminal.target import Target
from server.terminal.text import replace_surrogates

INTERRUPTED: Final = 130


def run(
    words: Sequence[str],
    target: Target,
    fields: Mapping[str, Any],
    system: str,
    detail: str | None,
    *,
    as_json: bool,
) -> None:
    """Ask the question among the words, or hold a conversation. Raises `typer.Exit` on errors.

    `fields` go into every request beside model and messages.
    """
    notes = Notes(quiet=as_json)
    with _reported(notes, as_json=as_json):
        arguments = sort_arguments(words)
        conversation = ChatHistory(
            replace_surrogates(system), detail, waiting=open_images(arguments)
        )
        question = arguments.question
        if question is None and not sys.stdin.isatty():
            question = question_on_stdin(arguments)
        with connect(target, notes) as connection:
            printed = JsonPrinter() if as_json else TextPrinter()
            chat = Chat(
                connection.client, connection.model, conversation, dict(fields), printed, notes
            )
            _hold(chat, connection, question)


def _hold(chat: Chat, connection: Connection, question: str | None) -> None:
    if question is not None:
        if not chat.ask(replace_surrogates(question)):
            raise KeyboardInterrupt
        return
    # Only a conversation needs it, and one question should start fast.
    from server.terminal.interactive import converse

    chat.notes.quiet = False  # a person types, whatever the answers look like
    chat.notes.say(f"{connection.model} at {connection.url} · /help lists the commands")
    converse(chat)


@contextmanager
def _reported(notes: Notes, *, as_json: bool) -> Iterator[None]:
    """Turn known errors into a message and an exit code."""
    try:
        yield
    except ChatError as error:
        if as_json:
            print(json.dumps({"error": error.fields}), file=sys.stderr)
        else:
            notes.say(f"error: {error.shown}", dim=False)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
