"""Files of the ScienceQA data set, and files of predictions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import Field, TypeAdapter, ValidationError

from asking.errors import InputError
from asking.files import FileModel, TextId, describe_validation_error, read_json, read_json_lines

LETTERS: Final = ("A", "B", "C", "D", "E")


class Problem(FileModel):
    """A problem; `answer` is the index of the correct choice, `image` a file name."""

    question: str
    choices: list[str] = Field(min_length=1, max_length=len(LETTERS))
    answer: int = Field(ge=0)
    hint: str = ""
    image: str | None = None
    grade: str = ""
    subject: str = ""
    split: str = ""


@dataclass(frozen=True, slots=True)
class ProblemSet:
    """The problems of one split, by id, in the split's order."""

    split: str
    problems: dict[str, Problem]


class Prediction(FileModel):
    """A line of a predictions file; other keys are ignored."""

    question_id: TextId
    text: str


def read_problems(problems: Path, splits: Path, split: str) -> ProblemSet:
    """Read the problems of a split. Raises `InputError`, which names the problem."""
    records = _read_json_object(problems)
    ids = _read_split(splits, split)
    unknown = [problem_id for problem_id in ids if problem_id not in records]
    if unknown:
        raise InputError(problems, f"no problem {unknown[0]}, which {splits} has in {split!r}")
    return ProblemSet(
        split,
        {
            problem_id: _parse_problem(problems, problem_id, records[problem_id])
            for problem_id in ids
        },
    )


def read_predictions(path: Path) -> dict[str, str]:
    """Read texts by problem id; of duplicates the last counts, as released.

    Raises `InputError`.
    """
    return {record.question_id: record.text for record in read_json_lines(path, Prediction)}


def read_captions(path: Path) -> dict[str, str]:
    """Read `captions.json`, `{"captions": {id: caption}}`. Raises `InputError`."""
    captions = _read_json_object(path).get("captions")
    try:
        return TypeAdapter(dict[str, str]).validate_python(captions)
    except ValidationError as error:
        raise InputError(path, f"captions: {describe_validation_error(error)}") from None


def _read_split(path: Path, split: str) -> list[str]:
    splits = _read_json_object(path)
    if split not in splits:
        raise InputError(path, f"no split {split!r}, only {', '.join(splits)}")
    try:
        return TypeAdapter(list[str]).validate_python(splits[split])
    except ValidationError as error:
        raise InputError(path, f"{split}: {describe_validation_error(error)}") from None


def _parse_problem(path: Path, problem_id: str, value: Any) -> Problem:
    try:
        problem = Problem.model_validate(value)
    except ValidationError as error:
        raise InputError(
            path, f"problem {problem_id}: {describe_validation_error(error)}"
        ) from None
    if problem.answer >= len(problem.choices):
        raise InputError(path, f"problem {problem_id}: answer: there is no choice {problem.answer}")
    return problem


def _read_json_object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(path, "not a JSON object")
    return value
