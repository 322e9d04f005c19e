"""Questions of an MMBench table, ready to be asked."""

import base64
import binascii
from functools import partial
from pathlib import Path

from asking.errors import InputError, RunError
from asking.images import QuestionImage, detect_kind
from asking.question import ChatQuestion
from evaluation.mmbench_table import build_prompt, read_rows
from evaluation.released_files import ReleasedQuestion
from evaluation.vqa.questions import VqaQuestion


def load_mmbench_questions(path: Path, instruction: str) -> list[VqaQuestion]:
    """Read the questions of a table; an image may be the index of another row's.

    Raises `InputError`, which names the line.
    """
    rows = {row["index"]: (line, row) for line, row in read_rows(path)}
    questions = []
    for index, (line, row) in rows.items():
        cell = row.get("image", "")
        if cell in rows:
            cell = rows[cell][1].get("image", "")
        _check(path, line, cell)
        image = QuestionImage(f"mmbench {index}", partial(_decode, path, line, cell))
        record = ReleasedQuestion(
            question_id=int(index) if index.isdecimal() else index,
            text=build_prompt(row, instruction),
        )
        questions.append(VqaQuestion(record, ChatQuestion(index, record.text, image=image)))
    if not questions:
        raise InputError(path, "no questions")
    return questions


def _check(path: Path, line: int, cell: str) -> None:
    """Raise `InputError` for a cell that holds no image, before any question is asked."""
    try:
        detect_kind(_decode(path, line, cell), "image")
    except InputError:
        raise
    except RunError as error:
        raise InputError(path, str(error), line) from None


def _decode(path: Path, line: int, cell: str) -> bytes:
    try:
        return base64.b64decode(cell, validate=True)
    except binascii.Error:
        raise InputError(path, "image: not base64", line) from None
