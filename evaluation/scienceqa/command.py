"""`scienceqa`: run, score, complement, judge."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from asking.option_groups import expand_options
from asking.options import AskingOptions, Json
from asking.report import format_count, print_json, print_table, print_warning, write_predictions
from asking.run import collect_answers
from evaluation.roles import WRITER_FIELDS, CandidateOptions, JudgeOptions
from evaluation.scienceqa.accuracy import Accuracy, measure_accuracy
from evaluation.scienceqa.ensemble import PredictionPair
from evaluation.scienceqa.problems import (
    ProblemSet,
    read_captions,
    read_predictions,
    read_problems,
)
from evaluation.scienceqa.prompts import Layout
from evaluation.scienceqa.questions import QuestionBuilder

scienceqa = typer.Typer(
    help="ScienceQA: answer it, score predictions, join two models' predictions.",
    no_args_is_help=True,
    add_completion=False,
)

Problems = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, help="the data set's problems.json")
]
Splits = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, help="the data set's pid_splits.json")
]
Split = Annotated[str, typer.Option(help="which of the data set's splits")]
Predictions = Annotated[
    Path,
    typer.Option(exists=True, dir_okay=False, help='JSON Lines of {"question_id", "text"}'),
]
Second = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, help="the second model's predictions")
]
Out = Annotated[Path, typer.Option(help="where the joint predictions go")]


@scienceqa.command("run")
@expand_options
def answer(
    problems: Problems,
    splits: Splits,
    predictions: Annotated[Path, typer.Option(dir_okay=False, help="where the answers go")],
    split: Split = "test",
    images: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="folder of the images")
    ] = None,
    no_image: Annotated[
        bool, typer.Option("--no-image", help="ask without the images, as a text-only model")
    ] = False,
    captions: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="the data set's captions.json, as context"),
    ] = None,
    layout: Annotated[
        Layout, typer.Option(help="of the prompts: QCM for the paper's models, llava-1.5 for it")
    ] = Layout.QCM,
    instruction: Annotated[
        str | None,
        typer.Option(help="what follows the options, in place of the layout's own; may be empty"),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="ask no more problems than this")] = None,
    candidate: CandidateOptions = CandidateOptions(),
    asking: AskingOptions = AskingOptions(),
    as_json: Json = False,
) -> None:
    """Answer the problems of a split into a predictions file, and score it.

    Run again with the same options to go on where a run was stopped.
    """
    config = candidate.build_config(asking, candidate.sampling)
    if (images is None) != no_image:
        raise typer.BadParameter("give one of the two", param_hint="--images, --no-image")
    problem_set = read_problems(problems, splits, split)
    known = read_captions(captions) if captions else {}
    builder = QuestionBuilder(layout, instruction, known, images)
    questions = builder.build_questions(problem_set, limit)
    selected = {
        question.question_id: problem_set.problems[question.question_id] for question in questions
    }

    answers = asyncio.run(
        collect_answers(config, questions, predictions, "scienceqa", asking.allow_failures)
    )
    _report(measure_accuracy(ProblemSet(split, selected), answers.texts), as_json)


@scienceqa.command("score")
def score(
    problems: Problems,
    splits: Splits,
    predictions: Predictions,
    split: Split = "test",
    as_json: Json = False,
) -> None:
    """Accuracy of a predictions file, overall and by subject, modality and grade."""
    problem_set = read_problems(problems, splits, split)
    accuracy = measure_accuracy(problem_set, read_predictions(predictions))
    _report(accuracy, as_json)


@scienceqa.command("complement")
def complement(
    problems: Problems,
    splits: Splits,
    predictions: Predictions,
    second: Second,
    out: Out,
    split: Split = "test",
    as_json: Json = False,
) -> None:
    """Join two models: the second's answers, the first's where the second gives none."""
    pair = _read_pair(problems, splits, split, predictions, second)
    joint = pair.complement()
    write_predictions(out, joint)
    _report(measure_accuracy(pair.problem_set, joint), as_json)


@scienceqa.command("judge")
@expand_options
def judge_differences(
    problems: Problems,
    splits: Splits,
    predictions: Predictions,
    second: Second,
    out: Out,
    reviews: Annotated[Path, typer.Option(dir_okay=False, help="where the judge's answers go")],
    split: Split = "test",
    judge: JudgeOptions = JudgeOptions(),
    asking: AskingOptions = AskingOptions(),
    as_json: Json = False,
) -> None:
    """Join two models: wherever they differ, a judge has the last word.

    Where no choice can be read in its answer, the first model's counts. Without a judge's endpoint
    the answers in --reviews are used as they are. Run again with the same options to go on where a
    run was stopped.
    """
    pair = _read_pair(problems, splits, split, predictions, second)
    if judge.base_url or not reviews.exists():
        config = judge.build_config(asking, WRITER_FIELDS)
        verdicts = asyncio.run(
            collect_answers(
                config, pair.build_judge_questions(), reviews, "judge", asking.allow_failures
            )
        ).texts
    else:
        verdicts = read_predictions(reviews)
    joint = pair.apply_verdicts(verdicts)
    write_predictions(out, joint)
    _report(measure_accuracy(pair.problem_set, joint), as_json)


def _read_pair(
    problems: Path, splits: Path, split: str, first: Path, second: Path
) -> PredictionPair:
    problem_set = read_problems(problems, splits, split)
    return PredictionPair(problem_set, read_predictions(first), read_predictions(second))


def _report(accuracy: Accuracy, as_json: bool) -> None:
    if as_json:
        print_json(accuracy.to_json())
    else:
        columns = ("ScienceQA", "accuracy %", "correct", "problems")
        print_table(f"ScienceQA, {accuracy.split}", columns, accuracy.format_rows())
    if accuracy.missing:
        print_warning(
            f"{len(accuracy.missing)} of {format_count(accuracy.overall.count, 'problem')} without"
            " a prediction: counted as wrong"
        )
    if accuracy.unparsed:
        print_warning(
            f"{format_count(accuracy.unparsed, 'prediction')} without a readable answer: counted as"
            " wrong"
        )
    if accuracy.not_in_split:
        print_warning(
            f"{format_count(accuracy.not_in_split, 'prediction')} for problems that are not in"
            f" {accuracy.split!r}: ignored"
        )
