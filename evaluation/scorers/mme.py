"""MME: perception and cognition, from pairs of yes-or-no questions (arXiv 2306.13394)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from asking import options
from asking.errors import InputError
from asking.files import read_numbered_lines
from asking.report import print_warning
from evaluation.released_files import ReleasedAnswer, read_answers
from evaluation.scorers.report import print_results, warn_of_missing

PERCEPTION: Final = (
    *("existence", "count", "position", "color", "posters"),
    *("celebrity", "scene", "landmark", "artwork", "OCR"),
)
COGNITION: Final = (
    *("commonsense_reasoning", "numerical_calculation"),
    *("text_translation", "code_reasoning"),
)
_INSTRUCTIONS: Final = (
    "Answer the question using a single word or phrase.",
    "Please answer yes or no.",
)


@dataclass(frozen=True, slots=True)
class MmeQuestion:
    """A question about an image, its right answer (yes or no) and the model's text, if any."""

    task: str
    image: str
    question: str
    answer: str
    prediction: str | None = None

    @property
    def is_correct(self) -> bool:
        return self.prediction is not None and parse_yes_no(self.prediction) == self.answer


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


def parse_yes_no(text: str) -> str:
    """Return yes, no or other, by the first four characters, as the official calculation does."""
    beginning = text.lower()[:4]
    if "yes" in beginning:
        return "yes"
    return "no" if "no" in beginning else "other"


def read_annotations(folder: Path) -> list[MmeQuestion]:
    """Read the questions of all tasks. Raises `InputError`, which names the line."""
    questions = []
    for task in (*PERCEPTION, *COGNITION):
        inner = folder / task / "questions_answers_YN"
        for file in sorted((inner if inner.is_dir() else folder / task).glob("*.txt")):
            for question, answer in _read_columns(file, 2):
                questions.append(MmeQuestion(task, file.stem, question, answer.strip().lower()))
    if not questions:
        raise InputError(folder, "no folders of tasks with questions, such as existence")
    return questions


def read_results(folder: Path) -> list[MmeQuestion]:
    """Read the files of the official tool. Raises `InputError`, which names the line."""
    questions = [
        MmeQuestion(task, image, question, answer.strip().lower(), prediction)
        for task in (*PERCEPTION, *COGNITION)
        if (folder / f"{task}.txt").is_file()
        for image, question, answer, prediction in _read_columns(folder / f"{task}.txt", 4)
    ]
    if not questions:
        raise InputError(folder, "no files of tasks, such as existence.txt")
    return questions


def match_answers(
    questions: Sequence[MmeQuestion], path: Path, answers: Iterable[ReleasedAnswer]
) -> list[MmeQuestion]:
    """Add the answers to the questions. Raises `InputError` for an answer to none of them.

    The id of an answer is `<task>/<image>`, as in LLaVA's question file; both questions about an
    image have it, and the prompt tells them apart.
    """
    predictions: dict[tuple[str, str, str], str | None] = {
        _key(question.task, question.image, question.question): None for question in questions
    }
    for answer in answers:
        parts = str(answer.question_id).split("/")
        key = _key(parts[0], parts[-1].split(".")[0], answer.prompt)
        if key not in predictions:
            raise InputError(path, f"no such question: {answer.question_id}, {answer.prompt!r}")
        predictions[key] = answer.text
    return [
        MmeQuestion(
            question.task,
            question.image,
            question.question,
            question.answer,
            predictions[_key(question.task, question.image, question.question)],
        )
        for question in questions
    ]


def _key(task: str, image: str, question: str) -> tuple[str, str, str]:
    for instruction in _INSTRUCTIONS:
        question = question.replace(instruction, " ")
    return task, image, " ".join(question.split())


def _read_columns(path: Path, count: int) -> Iterable[list[str]]:
    for number, line in read_numbered_lines(path):
        columns = line.rstrip("\r\n").split("\t")
        if len(columns) != count:
            raise InputError(path, f"{len(columns)} columns in place of {count}", number)
        yield columns


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
    warn_of_missing(missing, "they count as wrong")
    if results["not_asked"]:
        print_warning(f"no answers to these tasks: {', '.join(results['not_asked'])}")
