"""MME: perception and cognition, from pairs of yes-or-no questions (arXiv 2306.13394)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from asking import options
from asking.report import print_warning
from evaluation.released_files import read_answers
from evaluation.scorers.mme_questions import (
    COGNITION,
    PERCEPTION,
    MmeQuestion,
    match_answers,
    read_annotations,
    read_results,
)
from evaluation.scorers.report import print_results, warn_of_missing


@dataclass(frozen=True, slots=True)
class TaskScore:
    """Percentages of right questions, and of images both of whose questions are right."""

    accuracy: float
    accuracy_plus: float
    count: int

    @classmethod
    def from_questions(cls, questions: Sequence[MmeQuestion]) -> "TaskScore":
        by_image = defaultdict(list)
        for question in questions:
            by_image[question.image].append(question.is_correct)
        return cls(
            100 * sum(question.is_correct for question in questions) / len(questions),
            100 * sum(map(all, by_image.values())) / len(by_image),
            len(questions),
        )

    @property
    def score(self) -> float:
        """0 to 200, as the official calculation adds up both."""
        return self.accuracy + self.accuracy_plus


def mme(
    answers: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="the model's answers, as `vqa` writes them"),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="folder MME_Benchmark_release_version"),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="instead of both: the official tool's folder, <task>.txt of image, question, "
            "right answer and answer",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """MME: scores of perception (of 2000) and cognition (of 800), and of every task (of 200)."""
    if results is not None and answers is None and annotations is None:
        questions = read_results(results)
    elif results is None and answers is not None and annotations is not None:
        questions = match_answers(read_annotations(annotations), answers, read_answers(answers))
    else:
        raise typer.BadParameter(
            "give --answers and --annotations, or --results", param_hint="--answers"
        )
    answered = {question.task for question in questions if question.prediction is not None}
    scored = [question for question in questions if question.task in answered]
    _report(score_tasks(scored), sum(question.prediction is None for question in scored), as_json)


def score_tasks(questions: Iterable[MmeQuestion]) -> dict[str, TaskScore]:
    """Score each task."""
    by_task = defaultdict(list)
    for question in questions:
        by_task[question.task].append(question)
    order = [*PERCEPTION, *COGNITION]
    return {task: TaskScore.from_questions(by_task[task]) for task in order if task in by_task}


def _report(tasks: dict[str, TaskScore], missing: int, as_json: bool) -> None:
    groups = {
        name: sum(score.score for task, score in tasks.items() if task in members)
        for name, members in (("perception", PERCEPTION), ("cognition", COGNITION))
    }
    results: dict[str, Any] = {
        **groups,
        "tasks": {
            task: {
                "score": score.score,
                "accuracy": score.accuracy,
                "accuracy_plus": score.accuracy_plus,
                "count": score.count,
            }
            for task, score in tasks.items()
        },
        "not_asked": [task for task in (*PERCEPTION, *COGNITION) if task not in tasks],
        "missing": missing,
    }
    rows = [
        (task, *(f"{value:.2f}" for value in (score.score, score.accuracy, score.accuracy_plus)))
        for task, score in tasks.items()
    ]
    sums = [(name, f"{value:.2f}", "", "") for name, value in groups.items()]
    columns = ("task", "score", "accuracy %", "accuracy+ %")
    print_results(results, "MME", columns, [*rows, *sums], as_json)
    warn_of_missing(missing, "counted as wrong")
    if results["not_asked"]:
        print_warning(f"no answers to these tasks: {', '.join(results['not_asked'])}")
