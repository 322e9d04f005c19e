"""`python -m evaluation`: scenes, relative-score and scienceqa."""

import typer

from asking.options import run_app
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


if __name__ == "__main__":
    run_app(app, "python -m evaluation")
