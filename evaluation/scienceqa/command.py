"""`scienceqa`: run, score, complement, judge."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from asking import options
from asking.report import show_json, show_table, warn, write_lines
from asking.run import answered
from evaluation import roles
from evaluation.scienceqa.accuracy import Accuracy, measure
from evaluation.scienceqa.ensemble import Pair
from evaluation.scienceqa.problems import (
    ProblemSet,
    read_captions,
    read_predictions,
    read_problems,
)
from evaluation.scienceqa.prompts import LETTER_ONLY, Order
from evaluation.scienceqa.running import Asker

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
Split = Annotated[str, typer.Option(help="which of its splits")]
Predictions = Annotated[
    Path,
    typer.Option(exists=True, dir_okay=False, help='JSON Lines of {"question_id", "text"}'),
]
Second = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, help="the second model's predictions")
]
Out = Annotated[Path, typer.Option(help="where the joint predictions go")]


@scienceqa.command("run")
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
    order: Annotated[
        Order, typer.Option(help="question, context, options: QCM as the paper, CQM as LLaVA-1.5")
    ] = Order.QCM,
    instruction: Annotated[
        str, typer.Option(help="what follows the options; may be empty")
    ] = LETTER_ONLY,
    limit: Annotated[int | None, typer.Option(min=1, help="only so many problems")] = None,
    base_url: roles.BaseUrl = "",
    api_key: roles.ApiKey = "",
    model: roles.Model = "",
    max_tokens: roles.MaxTokens = 1024,
    temperature: roles.Temperature = 0.0,
    request: roles.Request = "",
    concurrency: options.Concurrency = 8,
    timeout_s: options.TimeoutS = 120.0,
    attempts: options.Attempts = 6,
    backoff_s: options.BackoffS = 0.5,
    allow_failures: options.AllowFailures = False,
    as_json: options.Json = False,
) -> None:
    """Answer the problems of a split into a predictions file, and score it.

    Run again with the same options to go on where a run was stopped.
    """
    asking = options.Asking(concurrency, timeout_s, attempts, backoff_s)
    fields = {"max_tokens": max_tokens, "temperature": temperature}
    config = asking.endpoint("", base_url, api_key, model, request, fields)
    if (images is None) != no_image:
        raise typer.BadParameter("give one of the two", param_hint="--images, --no-image")
    problem_set = read_problems(problems, splits, split)
    known = read_captions(captions) if captions else {}
    asker = Asker(order, instruction, known, images)
    asks = asker.asks(problem_set, limit)
    asked = {ask.question_id: problem_set.problems[ask.question_id] for ask in asks}

    answers = asyncio.run(answered(config, asks, predictions, "scienceqa", allow_failures))
    _report(measure(ProblemSet(split, asked), answers.texts), as_json)


@scienceqa.command("score")
def score(
    problems: Problems,
    splits: Splits,
    predictions: Predictions,
    split: Split = "test",
    as_json: options.Json = False,
) -> None:
    """Accuracy of a predictions file, over all and by subject, modality and grade."""
    problem_set = read_problems(problems, splits, split)
    accuracy = measure(problem_set, read_predictions(predictions))
    _report(accuracy, as_json)


@scienceqa.command("complement")
def complement(
    problems: Problems,
    splits: Splits,
    predictions: Predictions,
    second: Second,
    out: Out,
    split: Split = "test",
    as_json: options.Json = False,
) -> None:
    """Join two models: the second's answers, the first's where the second gives none."""
    pair = _read_pair(problems, splits, split, predictions, second)
    joint = pair.complement()
    write_lines(out, joint)
    _report(measure(pair.problem_set, joint), as_json)


@scienceqa.command("judge")
def judge(
    problems: Problems,
    splits: Splits,
    predictions: Predictions,
    second: Second,
    out: Out,
    reviews: Annotated[Path, typer.Option(dir_okay=False, help="where the judge's answers go")],
    split: Split = "test",
    judge_base_url: roles.JudgeBaseUrl = "",
    judge_api_key: roles.JudgeApiKey = "",
    judge_model: roles.JudgeModel = "",
    judge_request: roles.JudgeRequest = "",
    concurrency: options.Concurrency = 8,
    timeout_s: options.TimeoutS = 120.0,
    attempts: options.Attempts = 6,
    backoff_s: options.BackoffS = 0.5,
    allow_failures: options.AllowFailures = False,
    as_json: options.Json = False,
) -> None:
    """Join two models: wherever they differ, a judge has the last word.

    Run again with the same options to go on where a run was stopped.
    """
    asking = options.Asking(concurrency, timeout_s, attempts, backoff_s)
    fields = {"max_tokens": 1024, "temperature": 0.0}
    config = asking.endpoint(
        "judge-", judge_base_url, judge_api_key, judge_model, judge_request, fields
    )
    pair = _read_pair(problems, splits, split, predictions, second)
    answers = asyncio.run(answered(config, pair.disputes(), reviews, "judge", allow_failures))
    joint = {**pair.agreed(), **answers.texts}
    write_lines(out, joint)
    _report(measure(pair.problem_set, joint), as_json)


def _read_pair(problems: Path, splits: Path, split: str, first: Path, second: Path) -> Pair:
    problem_set = read_problems(problems, splits, split)
    return Pair(problem_set, read_predictions(first), read_predictions(second))


def _report(accuracy: Accuracy, as_json: bool) -> None:
    if as_json:
        show_json(accuracy.as_json())
    else:
        columns = ("ScienceQA", "accuracy %", "correct", "problems")
        show_table(f"ScienceQA, {accuracy.split}", columns, accuracy.rows())
    if accuracy.missing:
        warn(
            f"{len(accuracy.missing)} of {accuracy.overall.count} problems have no prediction and "
            "count as wrong"
        )
    if accuracy.unread:
        warn(f"in {accuracy.unread} predictions no answer could be read; they count as wrong")
    if accuracy.strangers:
        warn(f"{accuracy.strangers} predictions are for problems not in {accuracy.split!r}")
