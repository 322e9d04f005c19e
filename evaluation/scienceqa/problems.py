"""The data set's own files: `problems.json` and `pid_splits.json`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import Field, TypeAdapter, ValidationError

from asking.errors import InputError
from asking.files import FileModel, explain, read_json, read_json_lines

LETTERS: Final = ("A", "B", "C", "D", "E")


class Problem(FileModel):
    """A problem; `answer` is the right choice's index, `image` a file name or None."""

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
    """A line of a predictions file; whatever else it holds is ignored."""

    question_id: str
    text: str


def read_problems(problems: Path, splits: Path, split: str) -> ProblemSet:
    """The problems of a split. Raises `InputError` that names the problem's id."""
    known = _object(problems)
    ids = _split(splits, split)
    strangers = [problem_id for problem_id in ids if problem_id not in known]
    if strangers:
        raise InputError(problems, f"no problem {strangers[0]}, which {splits} has in {split!r}")
    return ProblemSet(split, {each: _problem(problems, each, known[each]) for each in ids})


def read_predictions(path: Path) -> dict[str, str]:
    """Texts by problem id, the last one where an id is there more than once, as released.

    Raises `InputError`.
    """
    return {record.question_id: record.text for record in read_json_lines(path, Prediction)}


def read_captions(path: Path) -> dict[str, str]:
    """The data set's `captions.json`: `{"captions": {id: caption}}`. Raises `InputError`."""
    captions = _object(path).get("captions")
    try:
        return TypeAdapter(dict[str, str]).validate_python(captions)
    except ValidationError as error:
        raise InputError(path, f"captions: {explain(error)}") from None


def _split(path: Path, split: str) -> list[str]:
    splits = _object(path)
    if split not in splits:
        raise InputError(path, f"no split {split!r}, only {', '.join(splits)}")
    try:
        return TypeAdapter(list[str]).validate_python(splits[split])
    except ValidationError as error:
        raise InputError(path, f"{split}: {explain(error)}") from None


def _problem(path: Path, problem_id: str, value: Any) -> Problem:
    try:
        problem = Problem.model_validate(value)
    except ValidationError as error:
        raise InputError(path, f"problem {problem_id}: {explain(error)}") from None
    if problem.answer >= len(problem.choices):
        raise InputError(path, f"problem {problem_id}: answer: there is no choice {problem.answer}")
    return problem


def _object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(path, "not a JSON object")
    return value
