"""MME's questions with their right answers and the model's, from the files of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from asking.errors import InputError
from asking.files import read_numbered_lines
from evaluation.released_files import ReleasedAnswer

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
                questions.append(MmeQuestion(task, file.stem, question, answer.lower()))
    if not questions:
        raise InputError(folder, "no folders of tasks with questions, such as existence")
    return questions


def read_results(folder: Path) -> list[MmeQuestion]:
    """Read the files of the official tool. Raises `InputError`, which names the line."""
    questions = [
        question
        for task in (*PERCEPTION, *COGNITION)
        if (folder / f"{task}.txt").is_file()
        for question in _read_task(folder / f"{task}.txt", task)
    ]
    if not questions:
        raise InputError(folder, "no files of tasks, such as existence.txt")
    return questions


def _read_task(path: Path, task: str) -> Iterable[MmeQuestion]:
    """Read a file as the official `calculation.py` does, which strips no column."""
    for number, line in read_numbered_lines(path):
        columns = line.split("\t")
        _check_columns(path, columns, 4, number)
        image, question, answer, prediction = columns
        if answer.lower() not in ("yes", "no"):
            raise InputError(path, f"the right answer {answer!r} is neither yes nor no", number)
        yield MmeQuestion(task, image, question, answer.lower(), prediction)


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
        replace(
            question,
            prediction=predictions[_key(question.task, question.image, question.question)],
        )
        for question in questions
    ]


def _key(task: str, image: str, question: str) -> tuple[str, str, str]:
    for instruction in _INSTRUCTIONS:
        question = question.replace(instruction, " ")
    return task, image, " ".join(question.split())


def _read_columns(path: Path, count: int) -> Iterable[list[str]]:
    for number, line in read_numbered_lines(path):
        columns = [column.strip() for column in line.split("\t")]
        while len(columns) > count and not columns[-1]:
            columns.pop()  # tabs at the end of a line
        _check_columns(path, columns, count, number)
        yield columns


def _check_columns(path: Path, columns: Sequence[str], count: int, line: int) -> None:
    if len(columns) != count:
        raise InputError(path, f"{len(columns)} columns in place of {count}", line)
