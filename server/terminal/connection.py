"""Connects to the server, or starts one, and chooses the model."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import typer

from server.terminal.client import ChatClient, open_client
from server.terminal.embedded import run_embedded_server
from server.terminal.errors import APIError, ServerUnreachable
from server.terminal.options import DEFAULT_URL, ConnectionOptions
from server.terminal.stderr_console import StderrConsole


@dataclass(frozen=True, slots=True)
class Connection:
    """A reachable server and the model to ask."""

    url: str
    client: ChatClient
    model: str


@contextmanager
def connect(options: ConnectionOptions, console: StderrConsole) -> Iterator[Connection]:
    """Connect to the server, or start one.

    Raises `ServerUnreachable`, `APIError`, `UsageError`.
    """
    with ExitStack() as stack:
        if options.start:
            options = _start_server(options, console, stack)
        try:
            connection = _open_connection(options, console, stack)
        except ServerUnreachable as error:
            _confirm_start(options, console, error)
            connection = _open_connection(_start_server(options, console, stack), console, stack)
        yield connection


def _open_connection(
    options: ConnectionOptions, console: StderrConsole, stack: ExitStack
) -> Connection:
    opened = open_client(options.url, options.api_key, options.timeout_s, console.print)
    client = stack.enter_context(opened)
    return Connection(options.url, client, _choose_model(client, options.model))


def _choose_model(client: ChatClient, requested: str | None) -> str:
    """Return the requested model, or else the first one."""
    try:
        names = client.list_models()
    except APIError:
        if requested is None:
            raise
        return requested  # some endpoints have no model list
    if not names and requested is None:
        raise APIError("the server lists no model; --model names one")
    return requested or names[0]


def _confirm_start(
    options: ConnectionOptions, console: StderrConsole, error: ServerUnreachable
) -> None:
    """Ask at a terminal whether to start a server. Raises `ServerUnreachable` if not."""
    if options.url == DEFAULT_URL and console.is_interactive and sys.stdin.isatty():
        console.print(str(error), dim=False)
        try:
            if typer.confirm("Start one here, for this chat?", default=True, err=True):
                return
        except typer.Abort:
            raise KeyboardInterrupt from None
    raise ServerUnreachable(f"{error}; --start starts one")


def _start_server(
    options: ConnectionOptions, console: StderrConsole, stack: ExitStack
) -> ConnectionOptions:
    """Start a server, whose first model is the model to ask."""
    with console.show_progress("starting a server; this takes half a minute or more"):
        embedded = stack.enter_context(run_embedded_server(options.model))
    return replace(options, url=embedded.url, api_key=embedded.api_key, model=None, start=False)
