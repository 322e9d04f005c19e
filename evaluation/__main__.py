"""`python -m evaluation`: scenes, relative-score and scienceqa."""

import sys

import typer

from asking.errors import RunError
from evaluation.relative_score.command import relative_score
from evaluation.scenes.command import scenes
from evaluation.scienceqa.command import scienceqa

app = typer.Typer(
    name="python -m evaluation",
    help="Measure a model behind any OpenAI-compatible endpoint. docs/evaluation.md says more.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("scenes")(scenes)
app.command("relative-score")(relative_score)
app.add_typer(scienceqa, name="scienceqa")


def main() -> None:
    """Run a command; an error that we know is a message and exit code 1, no traceback."""
    try:
        app(prog_name="python -m evaluation")
    except (RunError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
