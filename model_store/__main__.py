"""`python -m model_store`: list, show, verify and pull models."""

import sys
from collections.abc import Sequence
from typing import Final

import typer

from model_store.commands.listing import list_models
from model_store.commands.pull import pull_model
from model_store.commands.show import show
from model_store.commands.verify import verify_model
from model_store.convert.command import convert
from model_store.errors import StoreError

NAME: Final = "python -m model_store"

app = typer.Typer(
    name=NAME,
    help="The models that the server can load. docs/model-store.md says more.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("list")(list_models)
app.command("show")(show)
app.command("verify")(verify_model)
app.command("pull")(pull_model)
app.command("convert")(convert)


def main(words: Sequence[str] | None = None, name: str = NAME) -> int:
    """Run a command. A known error prints one line and exits with code 1, without traceback."""
    try:
        app(args=words, prog_name=name)
    except (StoreError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def convert_release(words: Sequence[str], name: str) -> int:
    """Run the command `convert` as a program of its own."""
    return main(["convert", *words], name.removesuffix(" convert"))


if __name__ == "__main__":
    sys.exit(main())
