"""From where a server should be to a client of it and the model to ask."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import typer

from server.terminal.client import Client, open_client
from server.terminal.embedded import run_embedded_server
from server.terminal.errors import AnswerError, NoServer
from server.terminal.stderr_console import Notes
from server.terminal.target import DEFAULT_URL, Target


@dataclass(frozen=True, slots=True)
class Connection:
    """A server that answers, and the name of the model to ask there."""

    url: str
    client: Client
    model: str


@contextmanager
def connect(target: Target, notes: Notes) -> Iterator[Connection]:
    """Find the server, or start one. Raises `NoServer`, `AnswerError`, `UsageFault`."""
    with ExitStack() as stack:
        if target.start:
            target = _started(target, notes, stack)
        try:
            connection = _connection(target, notes, stack)
        except NoServer as error:
            _decide_to_start(target, notes, error)
            connection = _connection(_started(target, notes, stack), notes, stack)
        yield connection


def _connection(target: Target, notes: Notes, stack: ExitStack) -> Connection:
    opened = open_client(target.url, target.api_key, target.timeout_s, notes.say)
    client = stack.enter_context(opened)
    return Connection(target.url, client, _model(client, target.model))


def _model(client: Client, wanted: str | None) -> str:
    """Return the model to ask, the first one unless another is wanted."""
    try:
        names = client.models()
    except AnswerError:
        if wanted is None:
            raise
        return wanted  # some endpoints list none; the server at least answers
    if not names and wanted is None:
        raise AnswerError("the server lists no model; --model names one")
    return wanted or names[0]


def _decide_to_start(target: Target, notes: Notes, error: NoServer) -> None:
    """Ask at a terminal whether to start a server. Raises `NoServer` where the answer is no."""
    if target.url == DEFAULT_URL and notes.on_terminal and sys.stdin.isatty():
        notes.say(str(error), dim=False)
        try:
            if typer.confirm("Start one here, for this chat?", default=True, err=True):
                return
        except typer.Abort:
            raise KeyboardInterrupt from None
    raise NoServer(f"{error}; --start starts one")


def _started(target: Target, notes: Notes, stack: ExitStack) -> Target:
    """Start a server; what it lists is then the model to ask."""
    with notes.waiting("starting a server; this takes half a minute or more"):
        embedded = stack.enter_context(run_embedded_server(target.model))
    return replace(target, url=embedded.url, api_key=embedded.api_key, model=None, start=False)
