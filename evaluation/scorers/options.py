"""Command-line options that the scorers share."""

from pathlib import Path
from typing import Annotated

import typer

AnswersPath = Annotated[
    Path,
    typer.Option(
        "--answers", exists=True, dir_okay=False, help="the model's answers, as `vqa` writes them"
    ),
]
QuestionsPath = Annotated[
    Path, typer.Option("--questions", exists=True, dir_okay=False, help="the questions asked")
]
AnnotationsPath = Annotated[
    Path,
    typer.Option("--annotations", exists=True, dir_okay=False, help="the benchmark's own answers"),
]
SubmissionPath = Annotated[
    Path, typer.Option("--out", dir_okay=False, help="where the submission file goes")
]
OptionalSubmissionPath = Annotated[
    Path | None, typer.Option("--out", dir_okay=False, help="where the submission file goes")
]
