"""`python -m evaluation`: scenes, relative-score, scienceqa, vqa and the scorers of benchmarks."""

from collections.abc import Sequence
from typing import Final

import typer

from asking.options import run_app
from evaluation.relative_score.command import relative_score
from evaluation.scenes.command import scenes
from evaluation.scienceqa.command import scienceqa
from evaluation.scorers.gqa import gqa
from evaluation.scorers.mmbench import mmbench
from evaluation.scorers.mme import mme
from evaluation.scorers.mmvet import mmvet
from evaluation.scorers.pope import pope
from evaluation.scorers.seed import seed
from evaluation.scorers.textvqa import textvqa
from evaluation.scorers.vizwiz import vizwiz
from evaluation.scorers.vqav2 import vqav2
from evaluation.vqa.command import vqa

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
app.command("vqa")(vqa)
for scorer in (pope, mme, textvqa, vqav2, gqa, vizwiz, mmbench, seed, mmvet):
    app.command(scorer.__name__, rich_help_panel="Scorers of vqa's answers")(scorer)


def main(words: Sequence[str] | None = None, name: str = NAME) -> int:
    """Run a command; return the exit code."""
    run_app(app, name, words)
    return 0


if __name__ == "__main__":
    main()
