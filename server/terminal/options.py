"""The options of `llava-server chat`."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

import typer

from server import __version__

DEFAULT_URL: Final = "http://127.0.0.1:8000"

_SERVER: Final = "Server"
_ANSWER: Final = "Answer"


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """The server and the model; with `start` the chat starts its own server.

    With `model` None the chat uses the server's first model.
    """

    url: str
    api_key: str | None
    model: str | None
    timeout_s: float
    start: bool


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"llava-server {__version__}")
        raise typer.Exit


Arguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="IMAGE|VIDEO|QUESTION",
        help="images and videos: files, http(s), data or file URLs, and - for one on stdin; what is"
        " none of these is the question, in quotes",
        show_default=False,
    ),
]
Url = Annotated[
    str,
    typer.Option(envvar="LLAVA_URL", help="where the server is", rich_help_panel=_SERVER),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="LLAVA_API_KEY",
        help="the key that the server asks for; better set the variable, since other users can read"
        " command lines",
        show_default=False,
        rich_help_panel=_SERVER,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="the model to ask, by default the first that the server lists; with --start the one"
        " to load",
        show_default=False,
        rich_help_panel=_SERVER,
    ),
]
Start = Annotated[
    bool,
    typer.Option(
        "--start",
        help="start a server for this chat, with the settings in LLAVA_* variables, and stop it"
        " afterwards",
        rich_help_panel=_SERVER,
    ),
]
TimeoutS = Annotated[
    float,
    typer.Option(
        "--timeout",
        min=0.001,
        help="longest time without data from the server, in seconds",
        rich_help_panel=_SERVER,
    ),
]
System = Annotated[
    str | None,
    typer.Option(help="system message", show_default=False, rich_help_panel=_ANSWER),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        help="0 is greedy; default: the model's", show_default=False, rich_help_panel=_ANSWER
    ),
]
TopP = Annotated[
    float | None,
    typer.Option(
        "--top-p", help="default: the model's", show_default=False, rich_help_panel=_ANSWER
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        help="limit of tokens in an answer; default: what the context leaves",
        show_default=False,
        rich_help_panel=_ANSWER,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="makes sampling repeatable", show_default=False, rich_help_panel=_ANSWER),
]
Detail = Annotated[
    Literal["low", "high", "auto"] | None,
    typer.Option(
        help="image detail, for models with tiles (LLaVA-NeXT, LLaVA-OneVision); low is faster",
        show_default=False,
        rich_help_panel=_ANSWER,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        help="print each answer as one JSON object: answer, model, finish_reason, usage, timings;"
        " errors as JSON on stderr",
        rich_help_panel=_ANSWER,
    ),
]
NoStream = Annotated[
    bool,
    typer.Option(
        "--no-stream", help="print each answer when it is complete", rich_help_panel=_ANSWER
    ),
]
Version = Annotated[
    bool,
    typer.Option("--version", callback=_show_version, is_eager=True, help="show the version"),
]
