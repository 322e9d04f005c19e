"""`python -m evaluation`: scenes, relative-score and scienceqa."""

from collections.abc import Sequence
from typing import Final

import typer

from asking.options import run_app
from evaluation.relative_score.command import relative_score
from evaluation.scenes.command import scenes
from evaluation.scienceqa.command import scienceqa

NAME: Final = "python -m evaluation"

app = typer.Typer(
    name=NAME,
    help="Measure a model behind any OpenAI-compatible endpoint. docs/evaluation.md says more.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("scenes")(scenes)
app.command("relative-score")(relative_score)
app.add_typer(scienceqa, name="scienceqa")


def main(words: Sequence[str] | None = None, name: str = NAME) -> int:
    """Run a command; return the exit code."""
    run_app(app, name, words)
    return 0


if __name__ == "__main__":
    main()
