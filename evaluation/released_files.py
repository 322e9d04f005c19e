"""Question and answer files in the format of LLaVA's released evaluation."""

from pathlib import Path

from pydantic import Field

from asking.errors import InputError
from asking.files import FileModel, RecordId, parse_line, read_json_lines, read_numbered_lines


class ReleasedQuestion(FileModel):
    """A line of a question file, as `model_vqa.py` and `model_vqa_loader.py` read it."""

    question_id: RecordId
    text: str = Field(min_length=1)
    image: str | None = None
    category: str | None = None


class ReleasedAnswer(FileModel):
    """A line of an answer file; other keys are ignored."""

    question_id: RecordId
    text: str
    prompt: str = ""


def read_unique_questions(path: Path) -> list[ReleasedQuestion]:
    """Read questions whose ids are all different.

    Raises `InputError`, which names the line, also for an id that is there twice.
    """
    questions: dict[str, ReleasedQuestion] = {}
    for line, question in read_numbered_questions(path):
        if questions.setdefault(str(question.question_id), question) is not question:
            raise InputError(path, f"question {question.question_id} is listed twice", line)
    return list(questions.values())


def read_numbered_questions(path: Path) -> list[tuple[int, ReleasedQuestion]]:
    """Read questions with the numbers of their lines. Raises `InputError`."""
    return [
        (number, parse_line(path, line, number, ReleasedQuestion))
        for number, line in read_numbered_lines(path)
    ]


def read_answers(path: Path) -> list[ReleasedAnswer]:
    """Read an answer file in its order. Raises `InputError`, which names the line."""
    return read_json_lines(path, ReleasedAnswer)


def read_answer_texts(path: Path) -> dict[str, str]:
    """Read texts by question id; the last answer of an id counts. Raises `InputError`."""
    return {str(answer.question_id): answer.text for answer in read_answers(path)}
