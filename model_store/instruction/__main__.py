"""`python -m model_store.instruction`: one command for each source of instruction data."""

import sys

import typer

from asking.errors import RunError
from model_store.instruction.captions.command import captions
from model_store.instruction.scenes.command import scenes

app = typer.Typer(
    name="python -m model_store.instruction",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("captions")(captions)
app.command("scenes")(scenes)


@app.callback()
def instruction() -> None:
    """Visual instruction data in LLaVA's own records. docs/instruction-data.md says more."""


def main() -> None:
    """Run a command; an error that we know is a message and exit code 1, no traceback."""
    try:
        app(prog_name="python -m model_store.instruction")
    except (RunError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
