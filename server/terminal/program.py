"""The command line of `llava-server chat`, and its exit codes."""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any, Final

import typer

from server.terminal import options
from server.terminal.options import DEFAULT_URL, ConnectionOptions

NAME: Final = "llava-server chat"
# The installed script; shell completion needs a program name of one word.
SCRIPT: Final = "llava-chat"

HELP: Final = """
Ask a model about images and videos: one question, or a conversation if none is given.

Exit codes:

0 answered

1 the server answered with an error, or broke off

2 wrong usage

3 no server reachable

130 interrupted
"""

app = typer.Typer(pretty_exceptions_enable=False)


@app.command(help=HELP)
def chat(
    context: typer.Context,
    arguments: options.Arguments = None,
    url: options.Url = DEFAULT_URL,
    api_key: options.ApiKey = None,
    model: options.Model = None,
    start: options.Start = False,
    timeout: options.TimeoutS = 120.0,
    system: options.System = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    max_tokens: options.MaxTokens = None,
    seed: options.Seed = None,
    detail: options.Detail = None,
    as_json: options.AsJson = False,
    no_stream: options.NoStream = False,
    _version: options.Version = False,
) -> None:
    """Parse the options and run the chat."""
    if start and _is_on_command_line(context, "url"):
        raise typer.BadParameter(
            "--start and --url exclude each other: start a server, or name one"
        )
    sampling = {
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "seed": seed,
    }
    # Imported here, so that --help and usage errors are fast.
    from server.terminal.run import run_chat

    run_chat(
        arguments or [],
        ConnectionOptions(url, api_key, model, timeout, start),
        _build_fields(sampling, stream=not no_stream),
        system or "",
        detail,
        as_json=as_json,
    )


def main(arguments: Sequence[str] | None = None, name: str = SCRIPT) -> int:
    """Run the program; return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, _exit_on_signal)
    arguments = sys.argv[1:] if arguments is None else arguments
    if any("-completion" in argument for argument in arguments):
        name = SCRIPT
    try:
        app(args=arguments, prog_name=name)
    except SystemExit as end:
        return _flush_stdout(end.code if isinstance(end.code, int) else 0)
    return 0


def _build_fields(sampling: dict[str, Any], *, stream: bool) -> dict[str, Any]:
    """Return the request's fields besides model and messages."""
    streaming = {"stream_options": {"include_usage": True}} if stream else {}
    set_fields = {name: value for name, value in sampling.items() if value is not None}
    return {"stream": stream, **streaming, **set_fields}


def _is_on_command_line(context: typer.Context, name: str) -> bool:
    """Whether an option is set on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    """Exit through every `with` and `finally`."""
    raise SystemExit(128 + number)


def _flush_stdout(code: int) -> int:
    """Flush stdout and return the exit code; stdout's reader may have exited."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or 1
    return code
