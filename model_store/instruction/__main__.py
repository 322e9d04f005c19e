"""`python -m model_store.instruction`: one command for each source of instruction data."""

import typer

from asking.options import run_app
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


if __name__ == "__main__":
    run_app(app, "python -m model_store.instruction")
